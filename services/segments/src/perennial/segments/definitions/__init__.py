"""Segments as they are defined: rules with names and versions."""
