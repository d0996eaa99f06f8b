"""Rotation of the keys by which identifiers are sealed."""
