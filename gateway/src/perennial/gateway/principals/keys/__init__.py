"""API keys: issued, rotated, revoked."""
