"""Builds beside each other: slow rules hold up one lane, and the others pass in the other."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.db import Database
from perennial.common.operations import worker as operating
from perennial.common.service import ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.segments.definitions import service
from perennial.segments.main import SERVICE
from perennial.segments.memberships import queries

WHO = Principal("staff", "tester", frozenset())
RULE = {"event": "Order Completed"}


async def define(database: Database, name: str) -> UUID:
    async with database.write() as session:
        return await service.define(session, WHO, name, RULE)


async def state(database: Database, segment: UUID) -> str:
    async with database.read() as session:
        return str((await service.find(session, segment)).state)


async def until(reached: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not await reached():
            await asyncio.sleep(0.02)


async def test_two_slow_builds_hold_up_one_lane_and_a_quick_one_passes(
    committed: Database, settings: CommonSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = {await define(committed, "slow"), await define(committed, "slower")}
    runtime = ServiceRuntime(SERVICE, settings, committed, nats=None)  # type: ignore[arg-type]
    tries: Counter[UUID] = Counter()
    waiting, go = asyncio.Event(), asyncio.Event()
    real = queries.stage

    async def staged(session: Any, operation: UUID, segment: UUID, held: Any) -> int:
        tries[segment] += 1
        if segment in slow and tries[segment] == 1:
            await session.execute(text("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(9)"))
        elif segment in slow:
            waiting.set()
            await go.wait()
        return await real(session, operation, segment, held)

    async def lane() -> None:
        while True:
            if not await operating.step_once(runtime):
                await asyncio.sleep(0.02)

    async def put_off() -> bool:
        async with committed.read() as session:
            rows = await session.execute(text("SELECT id FROM operation WHERE tries > 0"))
            return len(rows.all()) == 1

    async def live(*segments: UUID) -> bool:
        return {await state(committed, segment) for segment in segments} == {"live"}

    monkeypatch.setattr(queries, "stage", staged)
    lanes = [asyncio.create_task(lane()) for _ in range(2)]
    async with asyncio.timeout(60):
        await waiting.wait()
    await until(put_off)
    quick = await define(committed, "quick")
    await until(lambda: live(quick))
    assert [await state(committed, segment) for segment in slow] == ["building", "building"]
    go.set()
    await until(lambda: live(*slow))
    for each in lanes:
        each.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)
