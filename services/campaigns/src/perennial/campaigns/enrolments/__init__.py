"""Enrolments: who is on which step of a journey, and why they left."""
