"""Recency, frequency, monetary value: five bands each, and the groups that marketers act on."""
