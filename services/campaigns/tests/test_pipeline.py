"""Campaigns on a real broker: nothing is sent before all that was said is known."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import text

from perennial.campaigns.channels import service as channels
from perennial.campaigns.channels.service import ensure
from perennial.campaigns.enrolments import clock
from perennial.campaigns.enrolments.triggers import hear
from perennial.campaigns.facts.service import Heard
from perennial.campaigns.main import SERVICE
from perennial.campaigns.testing.world import World, definition, message, wait
from perennial.common import firing, run, streams
from perennial.common.contracts import gateway
from perennial.common.contracts.identity import (
    RESOLVED_SUBJECT,
    Assignment,
    EventsResolved,
    IdentifiersAssigned,
    ResolvedEvent,
)
from perennial.common.contracts.segments import MembershipEntered, MembershipsChanged
from perennial.common.ids import partition_of, uuid7
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.common.timers import Timer
from perennial.common.web.app import document

REMIND = definition(wait("PT1S"), message())
REMIND_LATER = definition(wait("PT1H"), message())
_FALL_DUE = text("""
    WITH moved AS (UPDATE timer SET due_at = clock_timestamp() - CAST(:ago AS interval) RETURNING due_at)
    UPDATE enrolment SET due_at = moved.due_at FROM moved RETURNING id""")

# Those whose facts are heard: the streams must be there.
OTHERS = (
    Service("identity", "identity", SERVICE.metadata, emits=(IdentifiersAssigned,)),
    Service("segments", "segments", SERVICE.metadata, emits=(MembershipsChanged, MembershipEntered)),
)


@pytest.fixture
async def live(live_runtime: ServiceRuntime) -> World:
    await streams.apply(live_runtime.js, streams.plan([SERVICE, *OTHERS]))
    async with live_runtime.database.write() as session:
        await ensure(session)
    return World(live_runtime)


@asynccontextmanager
async def working(runtime: ServiceRuntime) -> AsyncIterator[None]:
    """A worker that lives as long as the block."""
    runtime.stopping.clear()
    tasks = run.start_worker(runtime)
    try:
        yield
    finally:
        runtime.stopping.set()
        await run.drain(tasks)


async def publish(runtime: ServiceRuntime, *events: ResolvedEvent) -> None:
    """Say it as identity does."""
    for event in events:
        body = msgspec.json.encode(EventsResolved([event]))
        await runtime.js.publish(f"{RESOLVED_SUBJECT}.{partition_of(event.via)}", body)


async def until(holds: Callable[[], Awaitable[Any]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.05)


def two_identifiers() -> tuple[UUID, UUID]:
    """Identifiers whose events travel in different partitions."""
    one, other = uuid7(), uuid7()
    while partition_of(other) == partition_of(one):
        other = uuid7()
    return one, other


async def a_cart(live: World, one: UUID, other: UUID) -> None:
    """A cart is filled, and the worker that has enrolled its owner goes away."""
    await live.journey(REMIND_LATER)
    async with working(live.runtime):
        await publish(
            live.runtime,
            identified({"email": "ada@shop.example"}, via=other, customer=other),
            tracked("Product Added", via=one, customer=other, version=2),
        )
        await until(live.enrolments)
        await until(lambda: live.rows("SELECT 1 FROM enrolment WHERE state = 'waiting'"))


async def fall_due(live: World, ago: timedelta = timedelta(0)) -> None:
    """The reminder is due from now on, or has been for a while."""
    async with live.database.write() as session:
        moved = await session.execute(_FALL_DUE, {"ago": ago})
        assert len(moved.all()) == 1


async def fire(live: World) -> int:
    return await firing.fire_due(live.runtime, datetime.now(UTC))


async def test_a_reminder_goes_out(live: World) -> None:
    await live.journey(REMIND)
    one, other = two_identifiers()
    async with working(live.runtime):
        await publish(
            live.runtime,
            identified({"email": "ada@shop.example"}, via=other, customer=other),
            tracked("Product Added", via=one, customer=other, version=2),
        )
        await until(live.messages)
        await until(lambda: live.rows("SELECT 1 FROM enrolment WHERE state = 'completed'"))
        said = "(SELECT FROM outbox WHERE published_at IS NOT NULL AND subject NOT LIKE '%.rules.%')"
        await until(lambda: live.rows(f"SELECT 1 FROM {said} AS said HAVING count(*) = 3"))
        await until(lambda: live.rows("SELECT 1 FROM outbox HAVING count(*) = count(published_at)"))
    assert await live.messages() == [("sent", None)]


async def test_a_cart_paid_during_an_outage_is_not_reminded_of(live: World) -> None:
    """The order lies in another partition, under another identifier of the customer."""
    one, other = two_identifiers()
    await a_cart(live, one, other)
    await publish(live.runtime, tracked("Order Completed", via=other, customer=other))
    await fall_due(live)
    fired = [await fire(live) for _ in range(3)]
    assert fired[-1] == 0
    assert (await live.enrolments())[0][1] == "waiting"
    async with working(live.runtime):
        await until(lambda: live.rows("SELECT 1 FROM enrolment WHERE state = 'exited'"))
    assert await live.messages() == []


async def test_nor_one_that_was_paid_after_the_reminder_was_due(live: World) -> None:
    one, other = two_identifiers()
    await a_cart(live, one, other)
    await publish(live.runtime, tracked("Order Completed", via=one, customer=other, version=2))
    await fall_due(live, ago=2 * clock.LATE)
    assert await fire(live) == 1
    assert await fire(live) == 0
    async with working(live.runtime):
        await until(lambda: live.rows("SELECT 1 FROM enrolment WHERE state = 'exited'"))
    assert await live.messages() == []


async def test_nor_while_anything_waits_before_identity(live: World) -> None:
    one, other = two_identifiers()
    await a_cart(live, one, other)
    await live.runtime.js.publish(gateway.SUBJECT, b"{}")
    await fall_due(live)
    assert await fire(live) == 0
    await live.runtime.js.purge_stream(gateway.STREAM)
    async with working(live.runtime):
        await until(live.messages)


async def test_nor_while_the_map_of_identifiers_is_behind(live: World) -> None:
    """Ada filled the cart unnamed, signed in as somebody known, and paid as that: only the map connects the two."""
    one, other = two_identifiers()
    await a_cart(live, one, one)
    assigned = IdentifiersAssigned(assignments=[Assignment(via=one, customer=other, version=3)])
    await live.runtime.js.publish(assigned.subject, assigned.model_dump_json().encode())
    await publish(live.runtime, tracked("Order Completed", via=other, customer=other))
    await fall_due(live)
    assert await fire(live) == 0
    async with working(live.runtime):
        await until(lambda: live.rows("SELECT 1 FROM enrolment WHERE state = 'exited'"))
    assert await live.messages() == []


async def test_two_workers_enrol_a_customer_once(live: World) -> None:
    await live.journey(REMIND)
    ada = await live.customer()
    vias = [ada, *[await live.customer(of=ada) for _ in range(5)]]

    async def one(via: UUID) -> None:
        async with live.database.write() as session:
            await hear(session, [Heard(uuid4(), via, "Product Added", datetime.now(UTC), live=True, read=dict)])

    await asyncio.gather(*(one(via) for via in vias))
    assert len(await live.enrolments()) == 1
    assert len(await live.rows("SELECT 1 FROM refused_entry")) == 5


async def test_two_workers_keep_the_cap_together(live: World) -> None:
    for number in range(4):
        await live.journey(definition(message()), f"journey {number}")
    async with live.database.write() as session:
        await channels.change(session, "sandbox", {"cap": 1}, None)
    await live.track("Product Added", await live.customer())
    due = [Timer(*row) for row in await live.rows("SELECT kind, key, due_at, payload, partition FROM timer")]

    async def one(timer: Timer) -> None:
        async with live.database.write() as session:
            await clock.step_due(session, [timer])

    await asyncio.gather(*(one(timer) for timer in due))
    assert sorted(await live.messages(), key=str) == [("not_sent", "frequency_cap")] * 3 + [("queued", None)]


def test_the_document_names_every_route() -> None:
    paths = document(SERVICE)["paths"]
    assert isinstance(paths, dict)
    assert {"/v1/journeys/{journey_id}/enrol", "/v1/messages/summary", "/v1/channels/{name}"} <= set(paths)
