"""The journeys that customers are on, as a change of the map would make them."""

from typing import Any

import pytest

from perennial.campaigns.channels.service import ensure
from perennial.campaigns.testing.world import World as Campaigns
from perennial.campaigns.testing.world import definition, message, wait
from perennial.common.db import Database
from perennial.common.preview.looking import Assigned
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.previews import World


@pytest.fixture
async def runtime(service: Service, settings: Any, committed: Database) -> ServiceRuntime:
    async with committed.write() as session:
        await ensure(session)
    return ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]


@pytest.fixture
def previews(runtime: ServiceRuntime) -> World:
    return World(runtime)


async def test_walks_and_messages_follow_their_identifiers(runtime: ServiceRuntime, previews: World) -> None:
    campaigns = Campaigns(runtime)
    await campaigns.journey(definition(message(), wait("P1D"), reentry="always"))
    one, other = await campaigns.customer(), await campaigns.customer()
    for via in (one, other):
        await campaigns.track("Product Added", via)
    await campaigns.tick()
    seen = await previews.agrees(Assigned(via=other, customer_id=one, version=10))
    assert len(seen.after[one]["enrolments"]) == 2
    assert seen.after[one]["messages"] == {"sent": 2}
    assert {key: value["messages"] for key, value in seen.before.items()} == {one: {"sent": 1}, other: {"sent": 1}}
    back = await previews.agrees(Assigned(via=other, customer_id=other, version=11))
    assert back.after == seen.before


async def test_no_journey_is_walked_twice_and_an_exit_of_one_side_is_the_others(
    runtime: ServiceRuntime, previews: World
) -> None:
    campaigns = Campaigns(runtime)
    await campaigns.journey(definition(wait("P1D"), message()))
    await campaigns.journey(definition(wait("P1D"), message(), exit_on=[{"event": "Signed Out"}]), "other")
    one, other = await campaigns.customer(), await campaigns.customer()
    for via in (one, other):
        await campaigns.track("Product Added", via)
    await campaigns.track("Signed Out", other)
    await campaigns.tick()
    seen = await previews.agrees(Assigned(via=other, customer_id=one, version=10))
    assert {key: len(value["enrolments"]) for key, value in seen.before.items()} == {one: 2, other: 1}
    assert len(seen.after[one]["enrolments"]) == 1
