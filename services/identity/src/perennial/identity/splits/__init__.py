"""Customers that a person has divided."""
