"""Batches that are written at the same time, on real commits."""

import asyncio
from uuid import UUID

from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.testing.database import until_somebody_waits
from perennial.common.testing.events import identified
from perennial.profile.quality.measuring import service as measuring
from perennial.profile.quality.rules import queries, service
from perennial.profile.traits import service as traits

OWNER = Principal("staff", "ann", frozenset({"*"}), fields=frozenset({"*"}))
UNIQUE = {"kind": "duplicate", "name": "codes", "key": "code", "action": "quarantine"}


async def test_of_two_batches_at_a_time_one_value_stays_with_the_first(committed: Database) -> None:
    async with committed.write() as session:
        await queries.save(session, uuid7(), UNIQUE, 1, "test")
        await measuring.fill(session)
    first, second = uuid7(), uuid7()
    written, go_on = asyncio.Event(), asyncio.Event()

    async def say(via: UUID, *, wait: bool) -> None:
        async with committed.write() as session:
            await session.execute(text("SELECT 1"))
            await traits.record(session, [identified({"code": "x"}, via=via)])
            if wait:
                written.set()
                await go_on.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(say(first, wait=True))
        await written.wait()
        rival = group.create_task(say(second, wait=False))
        await until_somebody_waits(committed)
        assert not rival.done(), "it must not judge before the other one is known"
        go_on.set()
    async with committed.read() as reading:
        held = (await reading.execute(text("SELECT via FROM trait WHERE key = 'code'"))).scalars().all()
        caught = (await reading.execute(text("SELECT via FROM quality_finding"))).scalars().all()
    assert (held, caught) == ([first], [second])


async def test_a_rule_waits_for_the_batches_under_way(committed: Database) -> None:
    """What is judged by no rule is written before the rule is there."""
    written, go_on = asyncio.Event(), asyncio.Event()

    async def say() -> None:
        async with committed.write() as session:
            await session.execute(text("SELECT 1"))
            await traits.record(session, [identified({"code": "x"}, via=uuid7())])
            written.set()
            await go_on.wait()

    async def define() -> None:
        async with committed.write() as session:
            await service.define(session, OWNER, UNIQUE)

    async with asyncio.TaskGroup() as group:
        group.create_task(say())
        await written.wait()
        rule = group.create_task(define())
        await until_somebody_waits(committed)
        assert not rule.done()
        go_on.set()
