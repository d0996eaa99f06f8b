"""Referral: codes, who brought whom, what both get for it, and what is held for review."""
