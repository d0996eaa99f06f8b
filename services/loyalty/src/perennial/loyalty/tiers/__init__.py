"""Tiers: how high a customer stands, by what was earned of late."""
