"""Statements that are transactions of their own, straight through asyncpg: without a session's share of the work."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg


class Lone:
    """Connections that are opened when they are needed, so many at most; who finds none free waits."""

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], most: int) -> None:
        self.most = most
        self.used = 0
        self._connect = connect
        self._places = asyncio.Semaphore(most)
        self._free: list[asyncpg.Connection] = []

    async def fetchval(self, statement: str, *values: object) -> Any:
        """The first value of the first row; `$1` stands for a value, and errors are asyncpg's.

        A connection of which nobody knows the state any more is not used again.
        """
        async with self._places:
            self.used += 1
            try:
                held = await self._take()
                try:
                    value = await held.fetchval(statement, *values)
                except BaseException as error:
                    if _refused(error):
                        self._free.append(held)
                    else:
                        held.terminate()
                    raise
                self._free.append(held)
                return value
            finally:
                self.used -= 1

    async def close(self) -> None:
        """Close what is not in use."""
        free, self._free = self._free, []
        for each in free:
            await each.close(timeout=2)

    async def _take(self) -> asyncpg.Connection:
        while self._free:
            found = self._free.pop()
            if not found.is_closed():  # Postgres was started afresh
                return found
        return await self._connect()


def _refused(error: BaseException) -> bool:
    """Whether only the statement failed, and the transaction that is its own: what is FATAL ends the connection."""
    return isinstance(error, asyncpg.PostgresError) and (error.severity_en or error.severity) == "ERROR"
