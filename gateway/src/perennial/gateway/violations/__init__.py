"""Events that broke a rule: kept for a month, counted, replayable after a fix."""
