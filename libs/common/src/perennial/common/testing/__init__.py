"""Fixtures for service tests: a database for each xdist worker, real NATS, real tokens."""
