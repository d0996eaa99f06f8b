"""Rules on the quality of traits, as data; the hook by which they act on what comes in."""
