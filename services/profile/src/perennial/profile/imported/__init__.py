"""Tags and consents that come with imported files."""
