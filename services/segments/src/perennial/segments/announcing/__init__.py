"""Saying who is in a segment to whoever acts on entries, because somebody asked for it."""
