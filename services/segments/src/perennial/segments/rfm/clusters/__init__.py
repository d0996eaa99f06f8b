"""Five groups by k-means, with names and reasons."""
