"""Tags that people and imports gave: facts under an identifier."""
