"""Where customers stand in their life cycle."""
