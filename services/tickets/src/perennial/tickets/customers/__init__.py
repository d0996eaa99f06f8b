"""What other services say of customers, for dispatch: tiers and segments."""
