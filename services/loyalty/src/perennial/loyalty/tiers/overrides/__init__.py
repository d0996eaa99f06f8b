"""What staff say of a customer's tier: higher or exactly so, until a day, with the reason."""
