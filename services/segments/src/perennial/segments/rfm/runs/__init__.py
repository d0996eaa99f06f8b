"""Runs: everybody's standing computed anew, and the thresholds frozen until the next one."""
