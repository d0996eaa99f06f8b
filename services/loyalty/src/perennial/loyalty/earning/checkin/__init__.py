"""Check-in: points for coming back each day, more for coming back many days running."""
