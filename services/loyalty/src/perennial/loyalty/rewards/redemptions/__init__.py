"""Redemptions: reserved, confirmed, fulfilled; or cancelled, and the points come back."""
