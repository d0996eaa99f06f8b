"""What rules hold and compare: scalars, paths, durations, patterns, places. Knows nothing of rules."""
