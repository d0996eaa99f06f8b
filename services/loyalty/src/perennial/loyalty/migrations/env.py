"""Alembic's entry."""

from perennial.common.db.migrations import run_env
from perennial.loyalty.main import SERVICE

run_env(SERVICE.metadata)
