"""Customers that are one, and that are not after all."""
