"""Segments and RFM as a change of the map would make them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.preview import Assigned
from perennial.common.runtime import Runtime
from perennial.common.service import Service
from perennial.common.testing.events import tracked
from perennial.common.testing.previews import EVERYBODY, World
from perennial.segments.definitions import service as definitions
from perennial.segments.memberships import service as memberships
from perennial.segments.rfm import queries as rfm
from perennial.segments.rfm.schemas import RfmOut

TWICE = {"event": "Order Completed", "count": {"gte": 2}}


@pytest.fixture
def world(service: Service, settings: Any, committed: Database) -> World:
    return World(Runtime(service, settings, committed, nats=None))  # type: ignore[arg-type]


async def order(world: World, via: UUID, revenue: int, days: float = 0) -> None:
    at = datetime.now(UTC) - timedelta(days=days)
    await world.hear(tracked("Order Completed", {"order_id": uuid7().hex, "revenue": revenue}, via=via, at=at))


async def define(world: World) -> None:
    async with world.runtime.database.write() as session:
        await definitions.define(session, EVERYBODY, "buyers", TWICE)
    async with world.runtime.database.write() as session:
        while await memberships.build_next(session):
            pass
    await world.derive()


async def score(world: World) -> None:
    async with world.runtime.database.write() as session:
        await rfm.score(session, "USD")


async def standing(world: World, customer: UUID) -> dict[str, Any]:
    """As the last computation left it."""
    async with world.runtime.database.read() as session:
        row = await rfm.one(session, customer, "UTC")
        assert row is not None
        return RfmOut.of(row, "USD").model_dump(mode="json")


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
    """To the band: the ranks are those of the computation over everybody, which comes later."""
    customers = [uuid7() for _ in range(12)]
    for number, via in enumerate(customers):
        for again in range(1 + number % 4):
            await order(world, via, 10 * number + again, days=number * 7 % 12)
    await score(world)
    for version, (one, other) in enumerate(zip(customers[:5], customers[6:11], strict=True), 2):
        merge, undo = (
            Assigned(via=other, customer_id=one, version=version * 2),
            Assigned(via=other, customer_id=other, version=version * 2 + 1),
        )
        seen = await world.preview(merge)
        for customer in (one, other):
            assert seen.before[customer]["rfm"] == await standing(world, customer)
        await world.assign(merge)
        await score(world)
        assert seen.after[one]["rfm"] == await standing(world, one)
        assert (await world.preview(undo)).after == seen.before
        async with world.runtime.database.read() as session:
            assert (await session.execute(text("SELECT count(*) FROM rfm"))).scalar_one() == 11
        await world.assign(undo)
        await score(world)
