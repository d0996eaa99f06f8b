"""Alembic's entry: see `perennial.common.db.migrations`."""

from perennial.campaigns.models import metadata
from perennial.common.db.migrations import run_env

run_env(metadata)
