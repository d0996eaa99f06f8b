"""Alembic's environment."""

from perennial.common.db.migrations import run_env
from perennial.tickets.main import SERVICE

run_env(SERVICE.metadata)
