"""What became of events, counted by source and hour."""
