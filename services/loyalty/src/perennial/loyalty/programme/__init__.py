"""The programme: earn rules and tiers as data, in versions."""
