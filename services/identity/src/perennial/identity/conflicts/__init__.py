"""What could not be joined: the queue for a person."""
