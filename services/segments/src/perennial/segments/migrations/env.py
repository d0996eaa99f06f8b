"""Alembic's environment."""

from perennial.common.db.migrations import run_env
from perennial.segments.main import SERVICE

run_env(SERVICE.metadata)
