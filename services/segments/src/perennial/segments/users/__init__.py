"""Who uses a segment beside other segments: rules of other services."""
