"""Postgres: engines, sessions, the tables every schema has, locks and migrations."""

from perennial.common.db.locks import lock, try_lock
from perennial.common.db.sessions import Database, ReadSession, WriteSession, fetch_patiently, raw, settings_of
from perennial.common.db.tables import add_common_tables, new_metadata

__all__ = [
    "Database",
    "ReadSession",
    "WriteSession",
    "add_common_tables",
    "fetch_patiently",
    "lock",
    "new_metadata",
    "raw",
    "settings_of",
    "try_lock",
]
