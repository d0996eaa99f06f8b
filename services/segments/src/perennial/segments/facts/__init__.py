"""What was said of customers, kept so that rules can be asked over it."""
