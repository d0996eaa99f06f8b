"""Paid membership: plans as data, courses derived from payment events, what members save."""
