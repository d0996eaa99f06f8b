"""Accounts as customers and staff see them: sums over the identifiers of a customer."""
