"""The 360 as a change of the map would make it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from perennial.common.auth import Principal
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.preview.looking import Assigned
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.common.testing.previews import World
from perennial.common.web.app import create_app, no_lifespan


@pytest.fixture
def world(service: Service, settings: Any, committed: Database) -> World:
    return World(ServiceRuntime(service, settings, committed, nats=None))  # type: ignore[arg-type]


async def two(world: World) -> tuple[UUID, UUID]:
    one, other = uuid7(), uuid7()
    bought = {"revenue": 10, "currency": "USD"}
    await world.hear(
        identified({"email": "ann@example.com", "plan": "pro"}, via=one),
        tracked("Order Completed", {"order_id": "1", **bought}, via=one),
        identified({"email": "ann@work.example"}, via=other),
        tracked("Order Completed", {"order_id": "2", **bought}, via=other),
    )
    return one, other


async def test_a_merge_and_its_undo(world: World) -> None:
    one, other = await two(world)
    seen = await world.agrees(Assigned(via=other, customer_id=one, version=2))
    assert set(seen.before) == {one, other}
    merged = seen.after[one]
    assert (merged["orders"]["count"], merged["orders"]["gmv"]) == (2, "20.00")
    assert merged["traits"] == {"email": "ann@work.example", "plan": "pro"}
    assert merged["counters"]["Order Completed"]["count"] == 2
    assert {"loyalty", "segments", "tickets", "messages"}.isdisjoint(merged)
    back = await world.agrees(Assigned(via=other, customer_id=other, version=3))
    assert back.after == seen.before


async def test_a_survivor_that_is_not_known_here_yet(world: World) -> None:
    _, other = await two(world)
    seen = await world.preview(Assigned(via=other, customer_id=uuid7(), version=2))
    assert (set(seen.before), seen.after) == ({other}, {})


async def test_it_is_masked(world: World) -> None:
    one, other = await two(world)
    who = Principal("staff", "analyst", frozenset({"customers:read"}))
    seen = await world.preview(Assigned(via=other, customer_id=one, version=2), who=who)
    assert "ann" not in str(seen)


async def test_over_http(world: World, settings: Any, token: Callable[..., str]) -> None:
    one, other = await two(world)
    app = create_app(world.runtime.service, settings, no_lifespan)
    app.state.runtime = world.runtime
    body = {"assignments": [{"via": str(other), "customer_id": str(one), "version": 2}]}
    headers = {"Authorization": f"Bearer {token('identities:read', 'customers:read')}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as http:
        answer = await http.post("/v1/previews/profile", json=body, headers=headers)
    assert answer.json()["after"][str(one)]["orders"]["count"] == 2
