"""Probable duplicates that share no identifier: proposed by likeness, decided by people."""
