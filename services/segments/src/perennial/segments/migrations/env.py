"""Alembic's environment."""

from perennial.common.db.migrations import run_env
from perennial.segments.models import metadata

run_env(metadata)
