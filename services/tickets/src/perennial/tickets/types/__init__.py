"""Kinds of tickets: stages, forms and service levels as data."""
