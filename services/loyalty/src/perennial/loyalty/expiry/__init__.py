"""When points end: put off by what customers do, and announced before it comes."""
