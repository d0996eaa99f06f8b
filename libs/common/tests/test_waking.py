"""Loops are woken by what was committed, and by nothing else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from perennial.common import notify
from perennial.common.db import Database
from perennial.common.db.lone import Lone
from perennial.common.db.waking import Waker


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


async def test_a_connection_that_was_lost_keeps_nobody_asleep(heard: list[str], database_urls: Any) -> None:
    lone = Lone(lambda: asyncpg.connect(database_urls.login), 1)
    lost = await lone.fetchval("SELECT pg_backend_pid()")
    admin = await asyncpg.connect(database_urls.admin)
    await admin.execute("SELECT pg_terminate_backend($1, 20000)", lost)
    await admin.close()
    waker = Waker(lone)
    waker.wake({notify.STALE})
    await until(heard, 1)
    await waker.close()
    await lone.close()
    assert heard == ["probe.stale"]


async def test_a_commit_whose_answer_nobody_waits_for_wakes(committed: Database, heard: list[str]) -> None:
    async def one() -> None:
        async with committed.write() as session:
            await notify.notify(session, notify.OUTBOX)
            await session.execute(text("SELECT 1"))
            asyncio.get_running_loop().call_soon(work.cancel)

    work = asyncio.create_task(one())
    with pytest.raises(asyncio.CancelledError):
        await work
    await until(heard, 1)
    assert heard == ["probe.outbox"]


async def test_a_process_ends_though_nothing_can_be_said() -> None:
    waker = Waker(Lone(lambda: asyncpg.connect("postgresql://nobody@127.0.0.1:1/nothing"), 1))
    waker.wake({notify.STALE})
    await asyncio.wait_for(waker.close(), 60)
