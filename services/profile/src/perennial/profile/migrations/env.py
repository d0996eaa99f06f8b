"""Alembic's entry: see `perennial.common.db.migrations`."""

from perennial.common.db.migrations import run_env
from perennial.profile.models import metadata

run_env(metadata)
