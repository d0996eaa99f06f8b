"""What every Perennial service shares: events, messaging, web, auth, rules."""
