"""Measures as they are shown: by source, by trait, over days."""
