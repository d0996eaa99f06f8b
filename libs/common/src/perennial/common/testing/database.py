"""A database that is lost for a while, to the service's own connections and to no other test; who waits in it."""

import asyncio

import asyncpg
from sqlalchemy import text

from perennial.common.db import Database

_WAITING = text("""
    SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
                   WHERE NOT granted AND datname = current_database())""")


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


async def until_somebody_waits(database: Database) -> None:
    """Until a transaction waits for a lock that another one holds. Raises TimeoutError."""
    async with asyncio.timeout(60):
        while True:
            async with database.read() as session:
                if (await session.execute(_WAITING)).scalar_one():
                    return
            await asyncio.sleep(0.02)
