"""The life cycle: both ladders, the clock, staff, history, merges."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common import identity_map
from perennial.common.derive import Stale
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.profile.computed import standard
from perennial.profile.rows import service as rows
from perennial.profile.stages import service as lifecycle
from perennial.profile.tags import counting

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
Stages = Callable[[], Awaitable[dict[UUID, str | None]]]
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
async def ladders(runtime: Runtime) -> None:
    async with runtime.database.write() as session:
        await lifecycle.seed(session)
        for row in standard.seeds():  # a test on real commits has emptied them away
            if row["digest"]:
                await session.execute(text(standard.SEED_FEED), {name: row[name] for name in ("digest", "feed")})
            bound = {name: row[name] for name in ("key", "labels", "spec", "digest")}
            await session.execute(text(standard.SEED), bound)


@pytest.fixture
def at(runtime: Runtime) -> Derive:
    """`await at(days)`: everybody is derived as if so many days had passed."""

    async def derived(days: float, *, live: bool = True) -> None:
        async with runtime.database.write() as session:
            found = await session.execute(text("SELECT via FROM identity_map WHERE via = customer_id"))
            customers = list(found.scalars())
            await identity_map.lock_customers(session, customers)
            now = datetime.now(UTC) + timedelta(days=days)
            await rows.compute(session, Stale(dict.fromkeys(customers, live), []), now)

    return derived


@pytest.fixture
def stages(runtime: Runtime) -> Stages:
    async def found() -> dict[UUID, str | None]:
        async with runtime.database.read() as session:
            rows_ = await session.execute(text("SELECT customer_id, stage FROM customer"))
            return {row.customer_id: row.stage for row in rows_}

    return found


async def facts(runtime: Runtime, subject: str) -> list[dict[str, Any]]:
    async with runtime.database.read() as session:
        statement = text("SELECT body FROM outbox WHERE subject = :subject ORDER BY id")
        return [json.loads(bytes(body)) for body in (await session.execute(statement, {"subject": subject})).scalars()]


def orders(via: UUID, number: int, *, days: float = 1, name: str = "o", live: bool = True) -> list[Any]:
    return [
        tracked(
            "Order Completed", {"order_id": f"{via}-{name}-{n}", "revenue": 10}, via=via,
            at=NOW - timedelta(days=days, minutes=n), live=live,
        )
        for n in range(number)
    ]  # fmt: skip


async def history(client: httpx.AsyncClient, via: UUID) -> list[tuple[str | None, str | None]]:
    answer = await client.get(f"/v1/customers/{via}/stages")
    assert answer.status_code == 200, answer.text
    return [(step["before"], step["after"]) for step in reversed(answer.json()["items"])]


async def test_the_growth_of_a_customer(
    client: httpx.AsyncClient, hear: Hear, at: Derive, stages: Stages, runtime: Runtime
) -> None:
    via, found = uuid7(), []
    await hear(tracked("Product Viewed", via=via, at=NOW))
    await at(0)
    found.append((await stages())[via])
    await hear(*orders(via, 1, name="first"))
    await at(0)
    found.append((await stages())[via])
    await hear(*orders(via, 3, name="more"))
    for days in (0, 91, 181):
        await at(days)
        found.append((await stages())[via])
    assert found == ["newcomer", "growing", "mature", "declining", "lost"]
    steps = await history(client, via)
    assert steps == list(zip([None, *found], found, strict=False))
    said = await facts(runtime, "profile.stage.changed.v1")
    assert [(fact["previous"], fact["stage"]) for fact in said] == steps
    states = [state for fact in await facts(runtime, "profile.stages.changed.v1") for state in fact["customers"]]
    assert [state["version"] for state in states] == sorted({state["version"] for state in states})
    await hear(*orders(via, 1, days=0, name="back"))
    await at(0)
    assert (await stages())[via] == "mature"


async def test_from_prospect_to_loyal(
    client: httpx.AsyncClient, hear: Hear, at: Derive, stages: Stages, runtime: Runtime
) -> None:
    chosen = await client.put("/v1/lifecycle", json={"ladder": "relationship"}, headers={"If-Match": '"1"'})
    assert (chosen.status_code, chosen.json()["ladder"], chosen.headers["ETag"]) == (200, "relationship", '"2"')
    via, found = uuid7(), []
    await hear(tracked("Product Viewed", via=via, at=NOW))
    bought = [orders(via, number, name=name) for number, name in ((1, "a"), (1, "b"), (3, "c"))]
    for event in (None, [identified({"email": "a@b.example"}, via=via)], *bought):
        if event is not None:
            await hear(*event)
        await at(0)
        found.append((await stages())[via])
    await at(181)
    found.append((await stages())[via])
    assert found == ["prospect", "aware", "first_purchase", "repeat", "loyal", "dormant"]
    assert (await client.get("/v1/lifecycle/summary")).json()["as_of"] is None
    await counting.job(runtime)
    summary = (await client.get("/v1/lifecycle/summary")).json()
    counts = {item["key"]: item["customers"] for item in summary["items"]}
    assert (list(counts), counts["dormant"], summary["as_of"] is not None) == (found, 1, True)


async def test_an_import_moves_stages_and_nobody_is_written_to(hear: Hear, derive: Derive, runtime: Runtime) -> None:
    via = uuid7()
    await hear(*orders(via, 5, days=200, live=False))
    await derive()
    assert await facts(runtime, "profile.stage.changed.v1") == []
    [state] = [item for fact in await facts(runtime, "profile.stages.changed.v1") for item in fact["customers"]]
    assert (state["customer"], state["stage"], state["ladder"]) == (str(via), "lost", "retail")


async def test_the_clock_has_a_timer(hear: Hear, derive: Derive, at: Derive, stages: Stages, runtime: Runtime) -> None:
    via = uuid7()
    [order] = orders(via, 1)
    await hear(order)
    await derive()
    for days, stage in ((90, "declining"), (180, "lost")):
        async with runtime.database.read() as session:
            due = (await session.execute(text("SELECT due_at FROM timer WHERE kind = 'stages'"))).scalar_one()
        assert due == order.timestamp + timedelta(days=days)
        await at((due - datetime.now(UTC)) / timedelta(days=1) + 0.001)
        assert (await stages())[via] == stage
    async with runtime.database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM timer WHERE kind = 'stages'"))).scalar_one() == 0


async def test_staff_say_a_stage_for_a_time(
    client: httpx.AsyncClient, hear: Hear, derive: Derive, at: Derive, stages: Stages
) -> None:
    via = uuid7()
    await hear(*orders(via, 1))
    await derive()
    until = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    body = {"stage": "mature", "why": "buys for a company", "expires_at": until}
    assert (await client.put(f"/v1/customers/{via}/stage", json=body)).status_code == 204
    await derive()
    assert (await stages())[via] == "mature"
    [newest, *_] = (await client.get(f"/v1/customers/{via}/stages")).json()["items"]
    assert (newest["by"], newest["before"], newest["after"]) == ("api_key:tester", "growing", "mature")
    await at(11)
    assert (await stages())[via] == "growing"
    del body["expires_at"]
    await client.put(f"/v1/customers/{via}/stage", json=body)
    await at(200)
    assert (await stages())[via] == "mature"
    assert (await client.delete(f"/v1/customers/{via}/stage")).status_code == 204
    await derive()
    assert (await stages())[via] == "growing"


async def test_a_merge_and_its_undo(
    client: httpx.AsyncClient, hear: Hear, assign: Hear, derive: Derive, stages: Stages
) -> None:
    one, other = uuid7(), uuid7()
    await hear(*orders(one, 2), *orders(other, 2))
    await derive()
    since = (await client.get(f"/v1/customers/{other}/stages")).json()["items"][0]["at"]
    await assign(one, one, other, version=2)
    await derive()
    assert await stages() == {one: "mature"}
    assert sorted(await history(client, other), key=str) == sorted(
        [(None, "growing"), (None, "growing"), ("growing", "mature")], key=str
    ), "together: each step with the id that took it"
    await assign(other, other, version=3)
    await derive()
    assert await stages() == {one: "growing", other: "growing"}
    assert await history(client, other) == [(None, "growing")], "an undone merge leaves no trace in the other's"
    assert (await client.get(f"/v1/customers/{other}/stages")).json()["items"][0]["at"] == since
    assert await history(client, one) == [(None, "growing"), ("growing", "mature"), ("mature", "growing")]


async def test_a_stage_may_require_another(client: httpx.AsyncClient, hear: Hear, at: Derive, stages: Stages) -> None:
    always = {"everyone": True}
    ladder = {
        "label": {"en": "Own"},
        "stages": [
            {"key": "here", "label": {"en": "Here"}, "rule": always},
            {"key": "buyer", "label": {"en": "Buyer"}, "rule": {"trait": "last_order_at", "within_last": "P30D"}},
            {"key": "missed", "label": {"en": "Missed"}, "rule": {"trait": "last_seen", "before": "P60D"},
             "requires": "buyer"},
        ],
    }  # fmt: skip
    made = await client.put("/v1/lifecycle/ladders/own", json=ladder, headers={"If-None-Match": "*"})
    assert made.status_code == 200, made.text
    assert (await client.put("/v1/lifecycle", json={"ladder": "own"}, headers={"If-Match": "*"})).status_code == 200
    buyer, visitor = uuid7(), uuid7()
    await hear(*orders(buyer, 1), tracked("Product Viewed", via=visitor, at=NOW))
    await at(0)
    assert await stages() == {buyer: "buyer", visitor: "here"}
    await at(61)
    assert await stages() == {buyer: "missed", visitor: "here"}


async def test_another_ladder_while_events_flow(
    client: httpx.AsyncClient, hear: Hear, derive: Derive, stages: Stages, runtime: Runtime
) -> None:
    vias = [uuid7() for _ in range(3)]
    await hear(*(event for via in vias for event in orders(via, 5)))
    await derive()
    await client.put("/v1/lifecycle", json={"ladder": "relationship"}, headers={"If-Match": "*"})
    await hear(tracked("Product Viewed", via=vias[0]))
    await derive()
    assert await stages() == {vias[0]: "loyal", vias[1]: "mature", vias[2]: "mature"}, "the rest follows behind"
    async with runtime.database.read() as session:
        kinds = (await session.execute(text("SELECT kind FROM timer WHERE kind = 'recompute'"))).scalars().all()
    assert kinds == ["recompute"]


BAD: dict[str, tuple[str, str, Any, int]] = {
    "ladder": ("PUT", "/v1/lifecycle", {"ladder": "none"}, 422),
    "no ladder": ("PUT", "/v1/lifecycle", {}, 422),
    "stages": ("PUT", "/v1/lifecycle/ladders/own", {"label": {"en": "x"}, "stages": []}, 422),
    "stage": ("PUT", "/v1/customers/{via}/stage", {"stage": "loyal", "why": "of the other ladder"}, 422),
    "why": ("PUT", "/v1/customers/{via}/stage", {"stage": "mature"}, 422),
    "past": ("PUT", "/v1/customers/{via}/stage",
             {"stage": "mature", "why": "x", "expires_at": "2020-01-01T00:00:00Z"}, 422),
    "nobody": ("PUT", f"/v1/customers/{UUID(int=5)}/stage", {"stage": "mature", "why": "x"}, 404),
    "nobody's": ("GET", f"/v1/customers/{UUID(int=5)}/stages", None, 404),
    "cursor": ("GET", "/v1/customers/{via}/stages?cursor=bm9wZQ", None, 400),
    "key": ("GET", "/v1/lifecycle/ladders/NO", None, 422),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_bad_requests(name: str, client: httpx.AsyncClient, hear: Hear) -> None:
    method, path, body, status = BAD[name]
    via = uuid7()
    await hear(tracked("Product Viewed", via=via))
    answer = await client.request(method, path.format(via=via), json=body, headers={"If-Match": "*"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("stages_", "pointer"),
    [
        ([{"key": "a1", "rule": {"trait": "stage", "is": "x"}}], "/stages/0/rule"),
        ([{"key": "a1", "rule": {"everyone": True}}, {"key": "b1", "rule": {"event": "X", "last": {}}}],
         "/stages/1/rule/last"),
        ([{"key": "a1", "rule": {"everyone": True}}, {"key": "a1", "rule": {"everyone": True}}], ""),
        ([{"key": "a1", "rule": {"everyone": True}, "requires": "b1"}], ""),
    ],
)  # fmt: skip
async def test_a_ladder_that_cannot_be(stages_: list[Any], pointer: str, client: httpx.AsyncClient) -> None:
    body = {"label": {"en": "x"}, "stages": [{"label": {"en": "x"}, **stage} for stage in stages_]}
    answer = await client.put("/v1/lifecycle/ladders/own", json=body, headers={"If-None-Match": "*"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer, answer.text


async def test_a_ladder_of_the_shop_survives_what_is_shipped(client: httpx.AsyncClient, runtime: Runtime) -> None:
    retail = (await client.get("/v1/lifecycle/ladders/retail")).json()
    kept = [{name: stage[name] for name in ("key", "label", "rule")} for stage in retail["stages"][:3]]
    answer = await client.put(
        "/v1/lifecycle/ladders/retail", json={"label": retail["label"], "stages": kept}, headers={"If-Match": '"1"'}
    )
    assert (answer.status_code, answer.json()["version"], answer.json()["edited"]) == (200, 2, True)
    async with runtime.database.write() as session:
        assert await lifecycle.seed(session) == []
    assert len((await client.get("/v1/lifecycle")).json()["ladders"]) == 2
