"""A list of customers as a file."""
