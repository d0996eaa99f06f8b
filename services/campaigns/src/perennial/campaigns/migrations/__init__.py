"""Alembic migrations of schema `campaigns`."""
