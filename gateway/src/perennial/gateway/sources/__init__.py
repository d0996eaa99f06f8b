"""Where events come from, and the write keys they come with."""
