"""Fixtures for service tests: a database of its own per xdist worker, real NATS, real tokens. Not imported at run time."""
