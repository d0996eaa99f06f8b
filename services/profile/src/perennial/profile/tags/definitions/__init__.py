"""The definitions of tags: the catalogue that is shipped, and a shop's own."""
