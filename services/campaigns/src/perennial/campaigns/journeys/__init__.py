"""Journeys: drafts, published versions, and what they hear."""
