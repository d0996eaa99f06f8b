"""What identifiers may do: data, in versions, applied to the next batch."""
