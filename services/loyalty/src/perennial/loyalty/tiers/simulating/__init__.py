"""A programme over the real members before it is published: who would move where."""
