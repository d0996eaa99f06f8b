"""Points and tiers as a change of the map would make them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.preview.looking import Assigned
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.common.testing.previews import World
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Posting


def volatile(account: Any) -> Any:
    """A tier that a merge or its undo brings is of the moment at which it was derived."""
    return {**account, "tier": {name: value for name, value in account["tier"].items() if name != "since"}}


@pytest.fixture
def world(service: Service, settings: Any, committed: Database) -> World:
    return World(ServiceRuntime(service, settings, committed, nats=None), volatile)  # type: ignore[arg-type]


async def order(world: World, via: UUID, revenue: int) -> None:
    await world.hear(tracked("Order Completed", {"order_id": uuid7().hex, "revenue": revenue}, via=via))


async def test_a_merge_that_lifts_a_tier_and_its_undo(world: World) -> None:
    one, other = uuid7(), uuid7()
    await order(world, one, 300)
    await order(world, other, 300)
    seen = await world.agrees(Assigned(via=other, customer_id=one, version=2))
    assert {seen.before[key]["balance"] for key in (one, other)} == {300}
    assert seen.after[one]["balance"] == 600
    assert seen.after[one]["tier"]["name"] != seen.before[one]["tier"]["name"]
    back = await world.agrees(Assigned(via=other, customer_id=other, version=3))
    assert back.after == seen.before


async def test_points_spent_from_the_others_lots(world: World) -> None:
    one, other = uuid7(), uuid7()
    await order(world, one, 100)
    await order(world, other, 60)
    await world.assign(Assigned(via=other, customer_id=one, version=2))
    async with world.runtime.database.write() as session:
        await points.spend(session, Posting(uuid7(), "spend", other, datetime.now(UTC), "coat", -150))
    await world.derive()
    seen = await world.agrees(Assigned(via=other, customer_id=other, version=3))
    assert (seen.before[one]["balance"], seen.after[one]["balance"], seen.after[other]["balance"]) == (10, 100, -90)
