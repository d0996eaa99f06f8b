"""For tests: what computed traits are to be, the naive way."""
