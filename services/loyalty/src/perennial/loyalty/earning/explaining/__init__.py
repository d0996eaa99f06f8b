"""Why these points, why not, and what a cart would earn."""
