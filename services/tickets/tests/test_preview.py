"""Open tickets as a change of the map would make them."""

from typing import Any

import pytest

from perennial.common.auth import Principal
from perennial.common.db import Database
from perennial.common.preview.looking import Assigned
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.plugin import customer
from perennial.common.testing.previews import World
from perennial.tickets.requests.service import Request, open_ticket
from perennial.tickets.requests.telling import Actor


@pytest.fixture
def world(service: Service, settings: Any, committed: Database) -> World:
    return World(ServiceRuntime(service, settings, committed, nats=None))  # type: ignore[arg-type]


async def test_a_merge_and_its_undo(world: World) -> None:
    async with world.runtime.database.write() as session:
        one, other = await customer(session), await customer(session)
        for via in (one, other, other):
            request = Request("question", "Hello", "Where is it?", None, {})
            await open_ticket(session, via, request, Actor("customer", f"customer:{via}"))
    seen = await world.agrees(Assigned(via=other, customer_id=one, version=2))
    assert {key: len(value["open"]) for key, value in seen.before.items()} == {one: 1, other: 2}
    assert [item["customer_id"] for item in seen.after[one]["open"]] == [str(one)] * 3
    back = await world.agrees(Assigned(via=other, customer_id=other, version=3))
    assert back.after == seen.before
    analyst = Principal("staff", "analyst", frozenset({"tickets:read"}))
    masked = await world.preview(Assigned(via=other, customer_id=one, version=4), who=analyst)
    assert "Where is it?" not in str(masked)
