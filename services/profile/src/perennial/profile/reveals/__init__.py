"""Seeing what is masked: for a reason, and on the record."""
