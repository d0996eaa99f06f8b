"""What staff write by hand: who, why, and what it took the place of."""
