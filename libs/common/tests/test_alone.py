"""A statement that is a transaction of its own."""

import asyncio
import contextlib
from typing import Any

import asyncpg
import pytest

from perennial.common.db import Database
from perennial.common.db.lone import Lone


async def test_it_is_committed(committed: Database) -> None:
    first = await committed.alone("SELECT txid_current()")
    assert await committed.alone("SELECT txid_status($1)", first) == "committed"


async def test_what_it_refuses_spoils_nothing(committed: Database) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await committed.alone("SELECT 1 / $1::int", 0)
    assert await committed.alone("SELECT 1 / $1::int", 1) == 1


async def test_a_connection_that_was_ended_is_replaced(committed: Database) -> None:
    ended = await committed.alone("SELECT pg_backend_pid()")
    other = await asyncpg.connect(committed.dsn)
    await other.execute("SELECT pg_terminate_backend($1, 10000)", ended)
    await other.close()
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await committed.alone("SELECT 1")  # the end may not have been noticed yet
    assert await committed.alone("SELECT pg_backend_pid()") != ended


async def test_there_are_only_so_many_connections(database_urls: Any) -> None:
    opened: list[asyncpg.Connection] = []

    async def connect() -> asyncpg.Connection:
        opened.append(await asyncpg.connect(database_urls.login))
        return opened[-1]

    lone = Lone(connect, 2)
    assert await asyncio.gather(*[lone.fetchval("SELECT $1::int", n) for n in range(9)]) == list(range(9))
    assert (len(opened), lone.used) == (2, 0)
    await lone.close()
    assert all(each.is_closed() for each in opened)


async def test_what_nobody_waits_for_is_not_used_again(database_urls: Any) -> None:
    lone = Lone(lambda: asyncpg.connect(database_urls.login), 1)
    first = await lone.fetchval("SELECT pg_backend_pid()")
    waiting = asyncio.create_task(lone.fetchval("SELECT pg_sleep(60)"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await lone.fetchval("SELECT pg_backend_pid()") != first
    await lone.close()


async def test_who_cannot_connect_gives_its_place_back() -> None:
    lone = Lone(lambda: asyncpg.connect("postgresql://nobody@127.0.0.1:1/nothing"), 1)
    for _ in range(2):
        with pytest.raises(OSError, match="Connect call failed"):
            await lone.fetchval("SELECT 1")
    assert lone.used == 0


async def test_what_ends_the_connection_is_no_refusal(database_urls: Any) -> None:
    """asyncpg's own word for it is a PostgresError as well, and a pooler's FATAL may come before the end."""
    ended = asyncpg.PostgresError.new({"S": "FATAL", "V": "FATAL", "C": "57P01", "M": "terminating connection"})
    opened: list[asyncpg.Connection] = []

    class Ending(asyncpg.Connection):
        async def fetchval(self, query: str, *args: object, **options: Any) -> Any:
            if query == "FATAL":
                raise ended
            return await super().fetchval(query, *args, **options)

    async def connect() -> asyncpg.Connection:
        opened.append(await asyncpg.connect(database_urls.login, connection_class=Ending))
        return opened[-1]

    lone = Lone(connect, 1)
    for statement in ("FATAL", "SELECT pg_terminate_backend(pg_backend_pid(), 0)"):
        with pytest.raises(asyncpg.PostgresError, match="terminating connection"):
            await lone.fetchval(statement)
        assert opened[-1].is_closed()
        assert await lone.fetchval("SELECT 1") == 1
    assert len(opened) == 3
    await lone.close()
