"""Events that could not be decided, and their replay."""
