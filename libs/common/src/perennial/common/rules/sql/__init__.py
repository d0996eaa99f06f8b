"""Asking a rule about all customers: one Postgres query, the twin of `evaluation`."""
