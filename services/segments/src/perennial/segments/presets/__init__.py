"""Segments that ship as rules, to be adopted as they are or changed."""
