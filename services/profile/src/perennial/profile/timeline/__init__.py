"""What happened: the append-only timeline, and what is counted of it."""
