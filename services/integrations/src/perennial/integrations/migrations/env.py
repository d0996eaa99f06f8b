"""Alembic's environment."""

from perennial.common.db.migrations import run_env
from perennial.integrations.models import metadata

run_env(metadata)
