"""What was bought: one row per order, whatever was said of it and in whatever order."""
