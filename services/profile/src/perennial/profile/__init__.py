"""The customer 360: traits, timeline, counters."""
