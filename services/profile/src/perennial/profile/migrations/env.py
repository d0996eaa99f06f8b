"""Alembic's entry: see `perennial.common.db.migrations`."""

from perennial.common.db.migrations import run_env
from perennial.profile.main import SERVICE

run_env(SERVICE.metadata)
