"""Customers from a CSV file: uploaded, mapped, tried, and turned into events of a source."""
