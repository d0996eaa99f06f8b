"""Lists: segments whose members somebody names, by API or by a file."""
