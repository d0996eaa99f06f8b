"""Events by month: made ahead, and dropped when no rule looks back so far."""
