"""Sweeps among writers, and after a crash."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.service import ServiceRuntime
from perennial.common.testing.database import until_somebody_waits
from perennial.common.testing.events import identified
from perennial.common.testing.previews import World
from perennial.profile.traits import service as traits
from perennial.profile.traits.sweeps import queries, service
from perennial.profile.traits.sweeps.jobs import reseal

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def world(service: Any, settings: Any, committed: Database) -> World:
    return World(ServiceRuntime(service, settings, committed, nats=None))  # type: ignore[arg-type]


async def test_what_is_written_meanwhile_stays(world: World) -> None:
    """Without the lock the sweep would put back what it has read."""
    via, database = uuid7(), world.runtime.database
    await world.hear(identified({"size": "41"}, via=via, at=NOON))

    async def later() -> None:
        async with database.write() as session:
            await session.execute(text("SELECT 1"))
            await traits.record(session, [identified({"size": 50}, via=via, at=NOON + timedelta(minutes=1))])

    async with database.write() as sweeping:
        [row] = await queries.statements(sweeping, [via], "size")
        writing = asyncio.create_task(later())
        await until_somebody_waits(database)
        await queries.replace(sweeping, [(via, "size", row.source, "41", None, True, True)])
    await asyncio.wait_for(writing, 5)
    async with database.read() as session:
        stored = await session.execute(text("SELECT value, first_value FROM trait"))
        assert [tuple(one) for one in stored] == [(50, 41)]


async def test_a_sweep_that_was_interrupted_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BATCH", 2)
    vias = sorted(uuid7() for _ in range(5))
    await world.hear(*(identified({"size": "41"}, via=via, at=NOON) for via in vias))
    database = world.runtime.database
    await reseal(world.runtime)
    handled = []
    real = queries.statements

    async def noting(session: Any, some: Any, key: str) -> Any:
        handled.append(list(some))
        return await real(session, some, key)

    monkeypatch.setattr(queries, "statements", noting)
    async with database.write() as session:
        await session.execute(text("UPDATE trait_sweep SET done = false, after = :first"), {"first": vias[0]})
    async with database.write() as session:
        assert await service.step(session)
    with pytest.raises(RuntimeError, match="killed"):
        async with database.write() as session:
            assert await service.step(session)
            raise RuntimeError("killed")
    await reseal(world.runtime)
    assert handled == [vias[1:3], vias[3:5], vias[3:5]], "what was not committed is done again, the rest is not"
    async with database.read() as reading:
        assert await queries.pending(reading) is None
