"""Readers, derivations and runs at the same time, on a database in which commits are real."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common import derive, identity_map
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.segments.facts import service as facts
from perennial.segments.main import SERVICE
from perennial.segments.rfm.runs import jobs
from perennial.segments.rfm.runs import queries as runs
from perennial.segments.rfm.runs import service as wishes
from perennial.segments.rfm.runs.computing import compute_next
from perennial.segments.rfm.standings import queries

Bought = Callable[..., Any]
ZONE, CURRENCY = "UTC", "USD"


async def hear(database: Database, *events: Any) -> None:
    async with database.write() as session:
        await session.execute(text("SELECT 1"))
        await identity_map.learn(session, events)
        await facts.record(session, list(events))
    await compute(database)


async def compute(database: Database) -> None:
    assert SERVICE.derive is not None
    used = 1
    while used:
        async with database.write() as session:
            used = await derive.derive_once(session, SERVICE.derive)


async def score(database: Database) -> None:
    async with database.write() as session:
        await wishes.want(session, "asked")
    assert await compute_next(database)


async def walk(database: Database) -> tuple[UUID, list[Any]]:
    """All standings, page after page, each page in a transaction of its own."""
    async with database.read() as session:
        run = await runs.serving(session)
    assert run is not None
    seen: list[Any] = []
    while True:
        async with database.read() as session:
            after = seen[-1].customer_id if seen else None
            rows = await queries.page(session, run.id, CURRENCY, None, after, 7, ZONE)
        seen += rows
        if len(rows) < 7:
            return run.id, seen


async def test_readers_see_one_run_whole_whatever_happens_meanwhile(committed: Database, bought: Bought) -> None:
    customers = [uuid7() for _ in range(40)]
    await hear(committed, *(bought(via, number, days=number) for number, via in enumerate(customers, 1)))
    await score(committed)
    done = asyncio.Event()

    async def read() -> set[UUID]:
        met = set()
        while not done.is_set():
            run, rows = await walk(committed)
            assert [row.customer_id for row in rows] == customers
            assert {row.run_id for row in rows} == {run}
            async with committed.read() as session:
                now = await queries.of_customers(session, customers, CURRENCY, ZONE)
            assert len(now) == len(customers)
            assert len({row.run_id for row in now.values()}) == 1
            met.add(run)
        return met

    async def change() -> None:
        for number in range(4):
            await hear(committed, *(bought(via, 100) for via in customers[number::7]))
            await score(committed)
        done.set()

    met, others, _ = await asyncio.gather(read(), read(), change())
    assert met | others


async def test_a_run_waits_for_the_derivation_that_began_before_it(committed: Database, bought: Bought) -> None:
    """Its facts are not in the run's snapshot, and it has not seen that a run is computed: it must be over first."""
    first = bought(revenue=5)
    await hear(committed, first)
    late = bought(first.via, revenue=7)
    async with committed.write() as session:
        await session.execute(text("SELECT 1"))
        await identity_map.learn(session, [late])
        await facts.record(session, [late])
        await queries.state(session)
        task = asyncio.create_task(score(committed))
        await waiting(committed)
        assert not task.done()
    await asyncio.wait_for(task, 60)
    async with committed.read() as session:
        found = await queries.of_customers(session, [first.via], CURRENCY, ZONE)
    assert str(found[first.via].monetary) == "12.00"


async def waiting(database: Database) -> None:
    """Until somebody waits for an advisory lock."""
    for _ in range(1000):
        async with database.read() as session:
            rows = await session.execute(text("SELECT true FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
            if rows.first():
                return
        await asyncio.sleep(0.02)
    pytest.fail("nobody waits")


async def test_two_workers_compute_a_run_once(committed: Database, bought: Bought) -> None:
    await hear(committed, *(bought() for _ in range(8)))
    async with committed.write() as session:
        await wishes.want(session, "asked")
    await asyncio.gather(*(compute_next(committed) for _ in range(3)))
    async with committed.read() as session:
        rows = await session.execute(text("SELECT state FROM rfm_scoring"))
        assert rows.scalars().all() == ["serving"]
        assert (await session.execute(text("SELECT count(*) FROM rfm_standing"))).scalar_one() == 8
    assert not await compute_next(committed)


async def test_the_loop_computes_what_is_wanted_until_it_is_stopped(
    service: Service, settings: CommonSettings, committed: Database, bought: Bought
) -> None:
    runtime = ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]
    await hear(committed, bought())
    await jobs.ensure(runtime)
    task = asyncio.create_task(jobs.compute(runtime))
    found = None
    for _ in range(1000):
        async with committed.read() as session:
            found = await runs.serving(session)
        if found:
            break
        await asyncio.sleep(0.02)
    runtime.stopping.set()
    await asyncio.wait_for(task, 60)
    assert found is not None
    assert (found.cause, found.customers) == ("day", 1)
