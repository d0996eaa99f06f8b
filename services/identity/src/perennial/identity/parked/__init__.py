"""Events that could not be decided, as they are kept."""
