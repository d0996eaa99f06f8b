"""One image for each service, all by one recipe."""
