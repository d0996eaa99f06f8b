"""Who is in which segment, kept true by events, by the clock and by the map."""
