"""Copies of what other services say of a customer, for the sections of the 360."""
