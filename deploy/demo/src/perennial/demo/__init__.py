"""A year of real shopping through the public API, checked against the data."""
