"""One customer from many identifiers."""
