"""Asking a rule about one customer in memory, and what must be loaded for it."""
