"""Rules, memberships and RFM."""
