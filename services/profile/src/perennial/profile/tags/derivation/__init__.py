"""Which tags a customer shows: derived behind the events, kept true by the clock."""
