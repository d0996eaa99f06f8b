"""The rewards mall: what points buy."""
