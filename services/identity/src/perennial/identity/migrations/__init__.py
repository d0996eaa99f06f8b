"""Alembic migrations of the identity schema."""
