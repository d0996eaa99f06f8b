"""Segments and RFM as a change of the map would make them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.operations import worker as operations
from perennial.common.preview.looking import Assigned
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.common.testing.previews import EVERYBODY, World
from perennial.segments.definitions import service as definitions
from perennial.segments.rfm.runs import service as rfm
from perennial.segments.rfm.runs.computing import compute_next

TWICE = {"event": "Order Completed", "count": {"gte": 2}}


@pytest.fixture
def world(service: Service, settings: Any, committed: Database) -> World:
    return World(ServiceRuntime(service, settings, committed, nats=None))  # type: ignore[arg-type]


async def order(world: World, via: UUID, revenue: int, days: float = 0) -> None:
    at = datetime.now(UTC) - timedelta(days=days)
    await world.hear(tracked("Order Completed", {"order_id": uuid7().hex, "revenue": revenue}, via=via, at=at))


async def define(world: World) -> None:
    async with world.runtime.database.write() as session:
        await definitions.define(session, EVERYBODY, "buyers", TWICE)
    while await operations.step_once(world.runtime):
        pass
    await world.derive()


async def score(world: World) -> None:
    async with world.runtime.database.write() as session:
        await rfm.want(session, "asked")
    assert await compute_next(world.runtime.database)
    await world.derive()


async def test_a_merge_that_makes_a_member_and_its_undo(world: World) -> None:
    await define(world)
    one, other = uuid7(), uuid7()
    await order(world, one, 10)
    await order(world, other, 20)
    seen = await world.agrees(Assigned(via=other, customer_id=one, version=2))
    assert [item["name"] for item in seen.after[one]["segments"]] == ["buyers"]
    assert seen.before[one]["segments"] == seen.before[other]["segments"] == []
    back = await world.agrees(Assigned(via=other, customer_id=other, version=3))
    assert back.after == seen.before


async def test_the_standing_among_all_the_others(world: World) -> None:
    """By the thresholds that the last run froze: what follows a change is what its preview said."""
    customers = [uuid7() for _ in range(12)]
    for number, via in enumerate(customers):
        for again in range(1 + number % 4):
            await order(world, via, 10 * number + again, days=number * 7 % 12)
    await score(world)
    for version, (one, other) in enumerate(zip(customers[:3], customers[6:9], strict=True), 2):
        seen = await world.agrees(Assigned(via=other, customer_id=one, version=version * 2))
        assert list(seen.after) == [one]
        both = sum(seen.before[customer]["rfm"]["frequency"] for customer in (one, other))
        assert seen.after[one]["rfm"]["frequency"] == both
        back = await world.agrees(Assigned(via=other, customer_id=other, version=version * 2 + 1))
        assert back.after == seen.before
