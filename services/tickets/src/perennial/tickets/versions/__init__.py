"""What calendars and ticket types have in common: definitions by key, in versions that never change."""
