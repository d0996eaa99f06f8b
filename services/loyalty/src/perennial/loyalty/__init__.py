"""The points bank and tiers."""
