"""Looking identifiers up."""
