"""What is derived while a version takes its place is derived again by the new one."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common import derive as common
from perennial.common.db import Database
from perennial.common.derive import mark
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.operations import worker as operations
from perennial.common.problems import Conflict
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.common.testing.previews import EVERYBODY, World
from perennial.segments.definitions import service as definitions
from perennial.segments.main import SERVICE
from perennial.segments.memberships import service


async def derived(database: Database) -> None:
    assert SERVICE.derive is not None
    async with database.write() as session:
        await session.execute(text("UPDATE stale SET at = now() - interval '1 second'"))
        while await common.derive_once(session, SERVICE.derive):
            pass


async def heard(runtime: ServiceRuntime, *events: Any) -> None:
    """Handled, and not derived yet."""
    async with runtime.database.write() as session:
        await react(runtime, session, reactions_of(SERVICE), events)


async def members(database: Database) -> list[UUID]:
    async with database.write() as session:
        return list((await session.execute(text("SELECT customer_id FROM membership"))).scalars())


def slowed(monkeypatch: Any) -> tuple[asyncio.Event, asyncio.Event]:
    """Derivations wait when they have read the segments: set when one does, and to be set that they go on."""
    began, go_on = asyncio.Event(), asyncio.Event()
    real = service.live_segments

    async def slow(session: Any) -> Any:
        found = await real(session)
        began.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(service, "live_segments", slow)
    return began, go_on


async def test_a_derivation_that_knows_the_old_rule_has_not_the_last_word(
    committed: Database, settings: Any, monkeypatch: Any
) -> None:
    """It begins when the members to be have been compared, and ends when the new version serves."""
    runtime = ServiceRuntime(SERVICE, settings, committed, nats=None)  # type: ignore[arg-type]
    _, via, segment = await started(runtime, {"event": "Joined"})
    async with committed.write() as session:
        row = await definitions.find_locked(session, segment)
        await definitions.change(session, EVERYBODY, row, None, {"event": "Never"})
    assert await operations.step_once(runtime)
    await heard(runtime, tracked("Joined", via=via))
    began, go_on = slowed(monkeypatch)
    first = asyncio.create_task(derived(committed))
    await began.wait()
    await operations.step_once(runtime)  # it serves
    settling = asyncio.create_task(operations.step_once(runtime))
    go_on.set()
    await asyncio.gather(first, settling)
    while await operations.step_once(runtime):
        pass
    await derived(committed)
    assert await members(committed) == []
    async with committed.write() as session:
        assert (await session.execute(text("SELECT customer_id FROM build_touched"))).all() == []


async def test_what_is_live_and_read_by_a_quiet_derivation_is_told(
    committed: Database, settings: Any, monkeypatch: Any
) -> None:
    """The event is committed when a mark of something not live was taken, and before the facts are read."""
    runtime = ServiceRuntime(SERVICE, settings, committed, nats=None)  # type: ignore[arg-type]
    _, via, _ = await started(runtime, {"event": "Joined"})
    async with committed.write() as session:
        await mark(session, [via], live=False)
    began, go_on = slowed(monkeypatch)
    first = asyncio.create_task(derived(committed))
    await began.wait()
    await heard(runtime, tracked("Joined", via=via, at=datetime.now(UTC) - timedelta(minutes=1)))
    go_on.set()
    await first
    assert await members(committed) == [via]
    async with committed.write() as session:
        told = await session.execute(text("SELECT subject FROM outbox WHERE subject LIKE '%entered%'"))
    assert told.scalars().all() == ["segments.membership.entered.v1"]


async def test_a_build_begins_when_no_derivation_is_in_flight(
    committed: Database, settings: Any, monkeypatch: Any
) -> None:
    """What it is about to write would not be compared."""
    runtime = ServiceRuntime(SERVICE, settings, committed, nats=None)  # type: ignore[arg-type]
    _, via, segment = await started(runtime, {"event": "Joined"})
    await heard(runtime, tracked("Joined", via=via))
    async with committed.write() as session:
        row = await definitions.find_locked(session, segment)
        await definitions.change(session, EVERYBODY, row, None, {"event": "Never"})
    began, go_on = asyncio.Event(), asyncio.Event()
    real = service.move

    async def slow(*args: Any) -> Any:
        await real(*args)
        began.set()
        await go_on.wait()

    monkeypatch.setattr(service, "move", slow)
    first = asyncio.create_task(derived(committed))
    await began.wait()
    building = asyncio.create_task(operations.step_once(runtime))
    await asyncio.sleep(0.3)
    go_on.set()
    await asyncio.gather(first, building)
    while await operations.step_once(runtime):
        pass
    assert await members(committed) == []


async def started(runtime: ServiceRuntime, rule: dict[str, Any]) -> tuple[World, UUID, UUID]:
    """A customer, and a segment that serves."""
    world, via = World(runtime), uuid7()
    await world.hear(tracked("Seen", via=via))
    async with runtime.database.write() as session:
        segment = await definitions.define(session, EVERYBODY, "x", rule)
    while await operations.step_once(runtime):
        pass
    await derived(runtime.database)
    return world, via, segment


async def test_nobody_enters_what_is_archived_while_they_are_derived(
    committed: Database, settings: Any, monkeypatch: Any
) -> None:
    runtime = ServiceRuntime(SERVICE, settings, committed, nats=None)  # type: ignore[arg-type]
    world, via, segment = await started(runtime, {"event": "Joined"})
    await world.hear(tracked("Joined", via=via))
    async with committed.write() as session:
        await session.execute(text("DELETE FROM membership"))
        await mark(session, [via], live=True)
    began, go_on = slowed(monkeypatch)
    first = asyncio.create_task(derived(committed))
    await began.wait()
    async with committed.write() as session:
        await definitions.archive(session, await definitions.find_locked(session, segment))
    go_on.set()
    await first
    async with committed.write() as session:
        assert (await session.execute(text("SELECT customer_id FROM membership"))).scalars().all() == []


async def test_two_who_take_one_name_at_once_are_not_both_told_it_is_free(committed: Database) -> None:
    async def define() -> None:
        async with committed.write() as session:
            await definitions.define(session, EVERYBODY, "x", {"event": "Joined"})
            await asyncio.sleep(0.2)

    outcomes = await asyncio.gather(define(), define(), return_exceptions=True)
    [refused] = [one for one in outcomes if one is not None]
    assert isinstance(refused, Conflict)
    assert refused.code == "name_taken"
