"""Parked events as operators see them, and their second chance."""
