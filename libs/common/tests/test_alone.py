"""A statement that is a transaction of its own."""

import contextlib

import asyncpg
import pytest

from perennial.common.db import Database


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
