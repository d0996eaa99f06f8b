"""Staff accounts and their passwords."""
