"""Identifiers that belong to several people, and a person's word on it."""
