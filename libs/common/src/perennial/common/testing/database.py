"""A database that is lost for a while, to the service's own connections and to no other test."""

import asyncpg


async def _limit(admin: asyncpg.Connection, limit: int) -> None:
    database = await admin.fetchval("SELECT quote_ident(current_database())")
    await admin.execute(f"ALTER DATABASE {database} CONNECTION LIMIT {limit}")


async def lose(admin: asyncpg.Connection) -> None:
    """End the service's connections and refuse new ones."""
    await _limit(admin, 0)
    await admin.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND application_name LIKE 'perennial-%'"""
    )


async def find(admin: asyncpg.Connection) -> None:
    """Allow connections again."""
    await _limit(admin, -1)
