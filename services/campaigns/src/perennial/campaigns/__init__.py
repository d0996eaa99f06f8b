"""Journeys, messages and channels."""
