"""What a shop says of its traits: data, in versions, applied to the next batch."""
