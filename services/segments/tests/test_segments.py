"""Segments over HTTP: defined, changed, previewed, explained, refused."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common import derive, identity_map
from perennial.common.contracts.identity import Assignment
from perennial.common.contracts.profile import TraitDefinition, TraitsDefined
from perennial.common.db import WriteSession
from perennial.common.operations import worker as operations
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.definitions import queries as definitions
from perennial.segments.facts import service as facts
from perennial.segments.facts.worker import keep_definitions
from perennial.segments.main import SERVICE
from perennial.segments.memberships import service as memberships
from perennial.segments.memberships.reconcile import reconcile

NOW = datetime.now(UTC)
BUYERS = {"event": "Order Completed", "count": {"gte": 2}, "within": "P30D"}


async def hear(database: BoundDatabase, *events: Any) -> None:
    """As the worker does: learn the map, keep the facts, compute the customers."""
    async with database.write() as session:
        changes = await identity_map.learn(session, events)
        await facts.follow_map(session, changes)
        await facts.record(session, list(events))
    await compute(database)


async def compute(database: BoundDatabase) -> None:
    assert SERVICE.derive is not None
    async with database.write() as session:
        await session.execute(text("UPDATE stale SET at = now()"))
        while await derive.derive_once(session, SERVICE.derive):
            pass


async def build(database: BoundDatabase) -> None:
    runtime = ServiceRuntime(SERVICE, database.info["settings"], database, nats=None)  # type: ignore[arg-type]
    while await operations.step_once(runtime):
        pass
    await compute(database)


def order(via: UUID | None = None, *, days: float = 0, live: bool = True, **properties: Any) -> Any:
    return tracked(
        "Order Completed",
        {"order_id": uuid4().hex, "revenue": 10, **properties},
        via=via,
        at=NOW - timedelta(days=days),
        live=live,
    )


@pytest.fixture(autouse=True)
async def known(database: BoundDatabase) -> None:
    """The traits that rules of these tests ask."""
    async with database.write() as session:
        await keep_definitions(session, [TraitsDefined(traits=[TraitDefinition(key="plan", type="string", version=1)])])


async def define(client: httpx.AsyncClient, rule: dict[str, Any], name: str = "buyers") -> dict[str, Any]:
    made = await client.post("/v1/segments", json={"name": name, "rule": rule})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    return body


async def members(client: httpx.AsyncClient, segment: dict[str, Any]) -> set[str]:
    listed = (await client.get(f"/v1/segments/{segment['id']}/members")).json()["items"]
    return {item["customer_id"] for item in listed}


async def said(database: BoundDatabase) -> list[str]:
    async with database.read() as session:
        return list((await session.execute(text("SELECT subject FROM outbox ORDER BY id"))).scalars())


async def test_a_segment_is_built_over_the_past_and_kept_up_by_events(
    client: httpx.AsyncClient, database: BoundDatabase
) -> None:
    old, new = order(live=False), order()
    await hear(database, old, order(old.via, days=3, live=False), new)
    segment = await define(client, BUYERS)
    assert (segment["state"], segment["version"], "Order Completed" in segment["sentence"]) == ("building", 1, True)
    await build(database)
    assert await members(client, segment) == {str(old.via)}
    assert "segments.membership.entered.v1" not in await said(database)
    await hear(database, order(new.via))
    shown = (await client.get(f"/v1/segments/{segment['id']}")).json()
    assert await members(client, segment) == {str(old.via), str(new.via)}
    assert (shown["state"], shown["size"]) == ("live", 2)
    assert (await said(database)).count("segments.membership.entered.v1") == 1


async def test_the_clock_ends_a_membership(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    first = order(days=29.5)
    segment = await define(client, BUYERS)
    await build(database)
    await hear(database, first, order(first.via, days=1))
    assert await members(client, segment) == {str(first.via)}
    async with database.read() as session:
        [timer] = (await session.execute(text("SELECT kind, due_at, payload FROM timer WHERE kind = 'flip'"))).all()
        await session.execute(text("SELECT 1"))
    assert abs(timer.due_at - (first.timestamp + timedelta(days=30))) < timedelta(seconds=1)
    async with database.write() as session:
        await session.execute(text("UPDATE event SET at = at - interval '1 day' WHERE id = :id"), {"id": first.id})
        await memberships.flip(session, [_timer(timer)])
    await compute(database)
    assert await members(client, segment) == set()
    assert (await said(database))[-1] == "segments.membership.exited.v1"


def _timer(row: Any) -> Any:
    from perennial.common.timers import Timer  # noqa: PLC0415

    return Timer(row.kind, "", row.due_at, row.payload)


async def test_a_merge_and_its_undo_are_followed(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    a, b = order(), order()
    segment = await define(client, BUYERS)
    await build(database)
    await hear(database, a, b)
    assert await members(client, segment) == set()
    for customer, version, expected in ((a.via, 2, {str(a.via)}), (b.via, 3, set())):
        async with database.write() as session:
            changes = await identity_map.apply(session, [Assignment(via=b.via, customer=customer, version=version)])
            await facts.follow_map(session, changes)
        await compute(database)
        assert await members(client, segment) == expected


async def test_a_segment_of_a_segment(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    base = await define(client, {"trait": "plan", "is": "pro"}, "pro")
    both = await define(client, {"all": [{"segment": base["id"]}, BUYERS]}, "pro buyers")
    await build(database)
    who = order()
    await hear(database, who, order(who.via), identified({"plan": "pro"}, via=who.via))
    assert await members(client, both) == {str(who.via)}
    await hear(database, identified({"plan": None}, via=who.via))
    assert await members(client, both) == set()
    cycle = await client.patch(
        f"/v1/segments/{base['id']}", json={"rule": {"segment": both["id"]}}, headers={"If-Match": "*"}
    )
    assert (cycle.status_code, cycle.json()["code"]) == (422, "segment_cycle")
    used = await client.delete(f"/v1/segments/{base['id']}", headers={"If-Match": "*"})
    assert (used.status_code, "pro buyers" in used.json()["detail"]) == (409, True)


async def test_a_new_version_serves_when_it_is_built(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    who = order()
    await hear(database, who)
    segment = await define(client, BUYERS)
    await build(database)
    assert await members(client, segment) == set()
    changed = await client.patch(
        f"/v1/segments/{segment['id']}",
        json={"rule": {**BUYERS, "count": {"gte": 1}}},
        headers={"If-Match": '"1"'},
    )
    assert (changed.json()["version"], changed.json()["state"]) == (2, "building")
    await build(database)
    assert await members(client, segment) == {str(who.via)}
    stale = await client.patch(f"/v1/segments/{segment['id']}", json={}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert (await client.delete(f"/v1/segments/{segment['id']}", headers={"If-Match": '"2"'})).status_code == 204
    assert (await client.get("/v1/segments")).json()["items"] == []


async def test_reconciling_repairs_and_counts(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    who = order()
    segment = await define(client, {"event": "Order Completed"})
    await build(database)
    await hear(database, who)
    async with database.write() as session:
        [row] = await definitions.serving(session)
        assert await reconcile(session, row) == 0
        await session.execute(text("DELETE FROM membership"))
        assert await reconcile(session, row) == 1
        assert await reconcile(session, row) == 0, "who waits to be computed is no drift"
    await compute(database)
    async with database.write() as session:
        assert await reconcile(session, row) == 0
    assert await members(client, segment) == {str(who.via)}


async def test_a_preview_counts_and_keeps_nothing(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    await hear(database, *(order() for _ in range(3)))
    shown = (await client.post("/v1/segments/preview", json={"rule": {"event": "Order Completed"}})).json()
    assert (shown["count"], len(shown["sample"])) == (3, 3)
    assert (await client.get("/v1/segments")).json()["items"] == []


async def test_every_answer_can_be_explained(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    who = order(total=5)
    segment = await define(client, {"all": [{"event": "Order Completed"}, {"trait": "plan", "is": "pro"}]})
    await build(database)
    await hear(database, who)
    answer = (await client.get(f"/v1/segments/{segment['id']}/members/{who.via}/explain")).json()
    assert (answer["member"], [part["holds"] for part in answer["reason"]["parts"]]) == (False, [True, False])
    assert answer["reason"]["parts"][0]["evidence"][0]["properties"]["total"] == 5
    nobody = await client.get(f"/v1/segments/{segment['id']}/members/{uuid4()}/explain")
    assert nobody.status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x"}, "/rule"),
        ({"name": "", "rule": BUYERS}, "/name"),
        ({"name": "x" * 201, "rule": BUYERS}, "/name"),
        ({"name": 5, "rule": BUYERS}, "/name"),
        ({"name": "x", "rule": []}, "/rule"),
        ({"name": "x", "rule": BUYERS, "extra": 1}, "/extra"),
        ({"name": "x", "rule": {"event": "A", "within": "thirty days"}}, "/rule/within"),
        ({"name": "x", "rule": {"all": [{"event": "A", "count": {"gte": -1}}]}}, "/rule/all/0/count"),
        ({"name": "x", "rule": {"nonsense": 1}}, "/rule"),
        ({"name": "x", "rule": {"segment": str(uuid4())}}, "/rule"),
    ],
)
async def test_bad_input_names_the_field(client: httpx.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    refused = await client.post("/v1/segments", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"].startswith(pointer)


async def test_names_are_unique_while_they_live(client: httpx.AsyncClient) -> None:
    await define(client, BUYERS)
    again = await client.post("/v1/segments", json={"name": "buyers", "rule": BUYERS})
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (409, "/name")


async def test_an_import_builds_state_and_says_nothing_single(
    client: httpx.AsyncClient, database: BoundDatabase, session: WriteSession
) -> None:
    await define(client, {"event": "Order Completed"})
    await build(database)
    await hear(database, order(live=False))
    subjects = await said(database)
    assert "segments.memberships.changed.v1" in subjects
    assert "segments.membership.entered.v1" not in subjects
