"""Loops are woken by what was committed, and by nothing else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from perennial.common import notify
from perennial.common.db import Database


@pytest.fixture
async def heard(database_urls: Any) -> AsyncIterator[list[str]]:
    """The channels that somebody notified, as they come."""
    found: list[str] = []
    connection = await asyncpg.connect(database_urls.login)
    for name in (notify.STALE, notify.OUTBOX, notify.OPERATIONS):
        await connection.add_listener(f"probe.{name}", lambda *said: found.append(said[2]))
    yield found
    await connection.close()


async def until(heard: list[str], count: int) -> None:
    async with asyncio.timeout(20):
        while len(heard) < count:
            await asyncio.sleep(0.01)


async def test_what_is_committed_wakes(committed: Database, heard: list[str]) -> None:
    async with committed.write() as session:
        await notify.notify(session, notify.STALE)
        await notify.notify(session, notify.STALE)
    await until(heard, 1)
    assert heard == ["probe.stale"]


async def test_what_is_rolled_back_wakes_nobody(committed: Database, heard: list[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with committed.write() as session:
            await notify.notify(session, notify.STALE)
            await notify.notify(session, notify.OPERATIONS)
            raise ZeroDivisionError
    async with committed.write() as session:
        await notify.notify(session, notify.OUTBOX)
    await until(heard, 1)
    assert heard == ["probe.outbox"]


async def test_many_at_once_share_a_notification(committed: Database, heard: list[str]) -> None:
    async def one() -> None:
        async with committed.write() as session:
            await notify.notify(session, notify.OUTBOX)

    await asyncio.gather(*[one() for _ in range(40)])
    await committed.close()  # what is left goes out
    await until(heard, 1)
    assert set(heard) == {"probe.outbox"}
    assert len(heard) < 40


async def test_who_never_looks_is_told_with_the_commit(committed: Database, heard: list[str]) -> None:
    async with committed.write() as session:
        await notify.notify(session, notify.OPERATIONS)
        await notify.notify(session, notify.STALE)
    await until(heard, 2)
    assert heard == ["probe.operations", "probe.stale"]
