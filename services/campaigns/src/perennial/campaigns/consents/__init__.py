"""What customers have said of being written to, as profile tells it, and what follows for messages."""
