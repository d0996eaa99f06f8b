"""Tracking plans: what a source has promised to send, as JSON Schema per event."""
