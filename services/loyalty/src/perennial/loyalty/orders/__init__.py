"""Orders: what they earn and what refunds take back, whatever the sequence of their events."""
