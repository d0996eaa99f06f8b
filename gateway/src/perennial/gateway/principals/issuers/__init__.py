"""Issuers of customer tokens: the shop's own."""
