"""`?preview=true`: what a merge, a split or its undo would change of the map, and nothing of it happens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.previews import World
from perennial.common.web.app import create_app, no_lifespan
from perennial.identity.decisions import queries as decisions
from perennial.identity.decisions.service import Arrival, Keys, decide, week_of

Map = dict[str, tuple[str, int]]


class Desk:
    """The API over a database in which commits are real."""

    def __init__(self, database: Database, http: httpx.AsyncClient, world: World) -> None:
        self.database, self.http, self.world = database, http, world

    async def map(self) -> Map:
        async with self.database.read() as session:
            rows = await session.execute(text("SELECT via, customer_id, version FROM identity_map"))
            return {str(via): (str(customer), version) for via, customer, version in rows}

    async def preview(self, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
        """Nothing is left of it."""
        before = await self.world.traces()
        answer = await self.http.post(path, params={"preview": "true"}, json=body)
        assert answer.status_code == status, answer.text
        assert await self.world.traces() == before
        return dict(answer.json())

    async def agrees(self, path: str, body: dict[str, Any], created: int = 201) -> tuple[dict[str, Any], str]:
        """Preview, do it, and find what the preview said; the preview, and the id of what was made."""
        before, said = await self.map(), await self.preview(path, body)
        answer = await self.http.post(path, json=body)
        assert answer.status_code == created, answer.text
        after = await self.map()
        assert said["preview"] is True
        assert {item["via"]: (item["customer_id"], item["version"]) for item in said["assignments"]} == {
            via: state for via, state in after.items() if before[via] != state
        }
        assert {item["id"]: set(item["identifiers"]) for item in said["customers"]} == {
            customer: {via for via, (owner, _) in after.items() if owner == customer} for customer, _ in after.values()
        }
        return said, answer.json()["id"]


@pytest.fixture
async def desk(
    service: Service, settings: Any, committed: Database, keys: Keys, accept: Any, token: Callable[..., str]
) -> AsyncIterator[Desk]:
    """Two customers: Ann of three identifiers, and Bob's phone."""
    runtime = ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]
    app = create_app(service, settings, no_lifespan)
    app.state.runtime = runtime
    now = datetime.now(UTC)
    events = [accept(userId="ann", anonymousId="a1"), accept(userId="ann", anonymousId="a2"), accept(anonymousId="b1")]
    async with committed.write() as session:
        await decisions.ensure_week(session, week_of(now))
    async with committed.write() as session:
        await decide(session, Arrival.of(EventsAccepted("shop", events), 1), keys, now)
    headers = {"Authorization": f"Bearer {token('*')}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as http:
        yield Desk(committed, http, World(runtime))


async def customers(desk: Desk) -> tuple[str, str]:
    """Who has more identifiers first."""
    owners = [customer for customer, _ in (await desk.map()).values()]
    ann, bob = sorted(set(owners), key=owners.count, reverse=True)
    return ann, bob


async def test_a_merge_and_its_undo(desk: Desk) -> None:
    ann, bob = await customers(desk)
    said, merge = await desk.agrees("/v1/merges", {"customer_ids": [ann, bob], "reason": "same person"})
    assert [item["id"] for item in said["customers"]] == [ann]
    said, _ = await desk.agrees(f"/v1/merges/{merge}/undo", {"reason": "two people"}, 200)
    assert {item["id"] for item in said["customers"]} == {ann, bob}
    again = await desk.preview(f"/v1/merges/{merge}/undo", {"reason": "two people"}, 409)
    assert again["code"] == "already_undone"


async def test_a_split_and_its_undo(desk: Desk) -> None:
    ann, bob = await customers(desk)
    _, merge = await desk.agrees("/v1/merges", {"customer_ids": [ann, bob], "reason": "same person"})
    via = max(via for via, (owner, _) in (await desk.map()).items() if owner == ann and via not in (ann, bob))
    body = {"customer_id": ann, "identifiers": [via], "reason": "a friend's phone"}
    said, split = await desk.agrees("/v1/splits", body)
    assert {item["id"] for item in said["customers"]} == {ann, via}
    await desk.agrees(f"/v1/splits/{split}/undo", {"reason": "hers"}, 200)
    await desk.agrees(f"/v1/merges/{merge}/undo", {"reason": "two people"}, 200)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/merges", {"customer_ids": [str(UUID(int=1)), str(UUID(int=2))], "reason": "x"}),
        (f"/v1/merges/{UUID(int=1)}/undo", {"reason": "x"}),
        ("/v1/splits", {"customer_id": str(UUID(int=1)), "identifiers": [str(UUID(int=1))], "reason": "x"}),
        (f"/v1/splits/{UUID(int=1)}/undo", {"reason": "x"}),
    ],
)
async def test_refusals_are_those_of_the_real_thing(desk: Desk, path: str, body: dict[str, Any]) -> None:
    refused = await desk.preview(path, body, 404)
    assert refused["code"] == "not_found"
    assert (await desk.http.post(path, params={"preview": "perhaps"}, json=body)).status_code == 422


async def test_two_user_ids_are_refused_as_ever(desk: Desk, keys: Keys, accept: Any) -> None:
    ann, _ = await customers(desk)
    async with desk.database.write() as session:
        events = EventsAccepted("shop", [accept(userId="bea")])
        [bea] = await decide(session, Arrival.of(events, 2), keys, datetime.now(UTC))
    body = {"customer_ids": [ann, str(bea.customer)], "reason": "x"}
    assert (await desk.preview("/v1/merges", body, 409))["code"] == "two_user_ids"


async def test_a_preview_waits_for_nobody_and_nobody_for_it(desk: Desk) -> None:
    ann, bob = await customers(desk)
    body = {"customer_ids": [ann, bob], "reason": str(uuid7())}
    async with desk.database.write() as session:
        await session.execute(text("SELECT FROM identity_map FOR UPDATE"))
        await session.execute(text("LOCK TABLE merge, split IN EXCLUSIVE MODE"))
        async with asyncio.timeout(2):
            answer = await desk.http.post("/v1/merges", params={"preview": "true"}, json=body)
    assert answer.status_code == 200


async def test_it_takes_the_scope_of_the_real_thing(desk: Desk, token: Callable[..., str]) -> None:
    ann, bob = await customers(desk)
    body = {"customer_ids": [ann, bob], "reason": "x"}
    headers = {"Authorization": f"Bearer {token('identities:read')}"}
    refused = await desk.http.post("/v1/merges", params={"preview": "true"}, json=body, headers=headers)
    assert refused.status_code == 403
