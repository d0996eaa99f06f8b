"""Channels: how messages leave, and under which limits."""
