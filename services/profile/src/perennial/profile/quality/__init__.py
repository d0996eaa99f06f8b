"""Data quality: what is measured of traits and sources, and rules on what comes in."""
