"""What is known: one value per trait, by event time."""
