"""What rules have found, and how it is undone."""
