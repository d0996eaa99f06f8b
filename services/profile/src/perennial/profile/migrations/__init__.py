"""Alembic migrations of the schema `profile`."""
