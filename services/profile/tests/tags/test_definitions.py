"""Definitions over HTTP: made, changed, archived, refused; the shop's edits survive what is shipped later."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.db import Database
from perennial.common.db.locks import try_lock
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.profile.stages import queries as ladders
from perennial.profile.tags import counting, main, recompute, shares
from perennial.profile.tags.definitions import presets, queries
from perennial.profile.tags.words import queries as topics

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
Fire = Callable[..., Awaitable[list[str]]]
Shown = Callable[[], Awaitable[dict[UUID, set[str]]]]
PRO: dict[str, Any] = {
    "key": "pro", "label": {"en": "Pro", "zh": "专业"}, "dimension": "attribute", "kind": "rule",
    "rule": {"trait": "plan", "is": "pro"},
}  # fmt: skip


async def define(client: httpx.AsyncClient, **said: Any) -> dict[str, Any]:
    made = await client.post("/v1/tags", json={**PRO, **said})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    return body


async def test_a_tag_is_defined_and_shown_in_the_background(
    client: httpx.AsyncClient, hear: Hear, derive: Derive, fire: Fire, shown: Shown, runtime: Runtime
) -> None:
    via = uuid7()
    await hear(identified({"plan": "pro"}, via=via))
    await derive()
    made = await define(client, owner="crm@example.com")
    assert (made["version"], made["origin"], made["edited"]) == (1, "own", False)
    assert "plan" in made["sentence"]
    await derive()
    assert (await shown())[via] == set(), "nobody is looked at while the shop defines"
    await fire()
    await derive()
    assert (await shown())[via] == {"pro"}
    before = (await client.get("/v1/tags/summary")).json()
    assert (before["as_of"], before["items"][0]["customers"]) == (None, 0)
    await counting.job(runtime)
    after = (await client.get("/v1/tags/summary")).json()
    [item] = after["items"]
    assert (item["key"], item["customers"]) == ("pro", 1)
    assert after["as_of"] is not None


async def test_a_definition_changes_by_version(
    client: httpx.AsyncClient, hear: Hear, derive: Derive, fire: Fire, shown: Shown
) -> None:
    one, other = uuid7(), uuid7()
    await hear(identified({"plan": "pro"}, via=one), identified({"plan": "max"}, via=other))
    await define(client)
    await fire()
    await derive()
    change = {"rule": {"trait": "plan", "is": "max"}}
    for match, status in ((None, 428), ('"7"', 412), ('"1"', 200)):
        headers = {} if match is None else {"If-Match": match}
        answer = await client.patch("/v1/tags/pro", json=change, headers=headers)
        assert answer.status_code == status, answer.text
    assert answer.headers["ETag"] == '"2"'
    await fire()
    await derive()
    assert await shown() == {one: set(), other: {"pro"}}
    [tag] = (await client.get(f"/v1/customers/{other}/tags")).json()["items"]
    assert tag["by"] == "rule:pro:2"
    versions = (await client.get("/v1/tags/pro/versions")).json()["items"]
    assert [(item["version"], item["document"]["basis"]["rule"]["is"]) for item in versions] == [(2, "max"), (1, "pro")]


async def test_a_new_label_makes_nobody_be_looked_at(client: httpx.AsyncClient, fire: Fire) -> None:
    await define(client)
    await fire()
    changed = await client.patch(
        "/v1/tags/pro", json={"label": {"en": "Professional"}, "weights": {"loyal": 2.5}}, headers={"If-Match": "*"}
    )
    assert (changed.json()["label"], changed.json()["weights"]) == ({"en": "Professional", "zh": None}, {"loyal": 2.5})
    assert await fire() == []


async def test_an_archived_tag_is_shown_by_nobody_and_comes_back(
    client: httpx.AsyncClient, hear: Hear, derive: Derive, fire: Fire, shown: Shown
) -> None:
    via = uuid7()
    await hear(identified({"plan": "pro"}, via=via))
    await define(client)
    await fire()
    await derive()
    assert (await client.delete("/v1/tags/pro", headers={"If-Match": '"1"'})).status_code == 204
    await fire()
    await derive()
    assert (await shown())[via] == set()
    assert (await client.get("/v1/tags")).json()["items"] == []
    [archived] = (await client.get("/v1/tags", params={"state": "archived"})).json()["items"]
    assert (archived["key"], archived["active"]) == ("pro", False)
    back = await client.patch("/v1/tags/pro", json={"active": True}, headers={"If-Match": '"2"'})
    assert back.status_code == 200, back.text
    await fire()
    await derive()
    assert (await shown())[via] == {"pro"}


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "key": ({"key": "Not A Key"}, 422, "/key"),
    "label": ({"label": {}}, 422, "/label/en"),
    "dimension": ({"dimension": "mood"}, 422, "/dimension"),
    "kind": ({"kind": "guess"}, 422, "/kind"),
    "unknown": ({"colour": "red"}, 422, "/colour"),
    "rule": ({"rule": {"trait": "plan", "like": "x"}}, 422, "/rule/like"),
    "deep-rule": ({"rule": {"all": [{"event": "X", "within": "P1M"}]}}, 422, "/rule/all/0/within"),
    "stage": ({"rule": {"trait": "stage", "is": "lost"}}, 422, "/rule"),
    "no-rule": ({"rule": None}, 422, ""),
    "rule-of-manual": ({"kind": "manual"}, 422, ""),
    "lasts": ({"kind": "manual", "rule": None, "lasts": "a while"}, 422, "/lasts"),
    "lasts-of-rule": ({"lasts": "P1D"}, 422, ""),
    "words": ({"kind": "words", "rule": None, "words": {}}, 422, "/words"),
    "half-life": ({"kind": "words", "rule": None, "words": {"topics": ["x1"], "half_life": "PT0S"}}, 422,
                  "/words/half_life"),
    "computed": ({"kind": "computed", "rule": None, "computed": {"trait": "gmv"}}, 422, "/computed"),
    "top": ({"kind": "computed", "rule": None, "computed": {"trait": "gmv", "top": 100.0}}, 422, "/computed/top"),
    "weight": ({"weights": {"loyal": -1}}, 422, "/weights/loyal"),
    "nul": ({"owner": "a\x00b"}, 422, "/owner"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_tag_is_refused_by_path(name: str, client: httpx.AsyncClient) -> None:
    said, status, pointer = BAD[name]
    body = {key: value for key, value in {**PRO, **said}.items() if value is not None}
    answer = await client.post("/v1/tags", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["errors"][0]["pointer"] == pointer, answer.text


async def test_other_bad_requests(client: httpx.AsyncClient) -> None:
    await define(client)
    assert (await client.post("/v1/tags", json=PRO)).status_code == 409
    for path in ("/v1/tags/none", "/v1/tags/none/versions", "/v1/topics/none", "/v1/lifecycle/ladders/none"):
        assert (await client.get(path)).status_code == 404, path
    wrong = {"words": {"topics": ["price"]}}
    assert (await client.patch("/v1/tags/pro", json=wrong, headers={"If-Match": "*"})).status_code == 422
    assert (await client.patch("/v1/tags/pro", json={"lasts": "P1D"}, headers={"If-Match": "*"})).status_code == 422
    assert (await client.get("/v1/tags", params={"cursor": "bm9wZQ"})).status_code == 400


async def test_a_definition_needs_the_scope_and_shows_no_masked_rule(
    client: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    reader = {"Authorization": f"Bearer {token('schema:read', fields=())}"}
    assert (await client.post("/v1/tags", json=PRO, headers=reader)).status_code == 403
    writer = {"Authorization": f"Bearer {token('schema:read', 'schema:write', fields=())}"}
    secret = {**PRO, "rule": {"trait": "email", "is": "ann@example.com"}}
    assert (await client.post("/v1/tags", json=secret, headers=writer)).status_code == 403
    await define(client, rule=secret["rule"])
    for path in ("/v1/tags/pro", "/v1/tags", "/v1/tags/pro/versions"):
        assert "ann@example.com" not in (await client.get(path, headers=reader)).text, path


async def test_a_shops_edits_survive_what_is_shipped(
    catalogue: None, client: httpx.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = await client.patch(
        "/v1/tags/regular_buyer", json={"rule": {"trait": "orders", "gte": 3}}, headers={"If-Match": '"1"'}
    )
    assert edited.json()["edited"] is True
    await client.delete("/v1/tags/night_shopper", headers={"If-Match": "*"})
    entries = json.loads(json.dumps(presets.load("catalogue.json")))
    for entry in entries:
        entry["about"]["en"] += " Improved."
    monkeypatch.setattr(presets, "load", lambda _: entries)
    async with runtime.database.write() as session:
        changed = await presets.seed(session)
        assert await presets.seed(session) == []
    assert len(changed) == len(entries) - 2
    mine = (await client.get("/v1/tags/regular_buyer")).json()
    assert (mine["rule"], mine["version"]) == ({"trait": "orders", "gte": 3}, 2)
    assert (await client.get("/v1/tags/night_shopper")).json()["active"] is False
    theirs = (await client.get("/v1/tags/repeat_buyer")).json()
    assert (theirs["about"]["en"].endswith("Improved."), theirs["version"]) == (True, 2)


async def test_seeding_twice_changes_nothing(catalogue: None, runtime: Runtime) -> None:
    await main.seed(runtime)
    async with runtime.database.read() as session:
        found = await session.execute(text("SELECT max(version) FROM tag_definition"))
        assert found.scalar_one() == 1
        assert (await session.execute(text("SELECT count(*) FROM timer"))).scalar_one() == 0


async def test_a_worker_seeds_when_it_starts(runtime: Runtime, client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/lifecycle")).status_code == 404
    await main.begin(runtime)
    assert (await client.get("/v1/lifecycle")).json()["ladder"] == "retail"
    listed = (await client.get("/v1/tags", params={"limit": 200})).json()["items"]
    assert len(listed) == len(presets.tags())


async def test_everybody_is_looked_at_in_steps(
    client: httpx.AsyncClient, hear: Hear, fire: Fire, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    vias = [uuid7() for _ in range(5)]
    await hear(*(tracked("Searched", via=via) for via in vias))
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM stale"))
    monkeypatch.setattr(recompute, "STEP", 2)
    await define(client)
    assert (await fire()).count("recompute") == 4
    async with runtime.database.read() as session:
        marked = (await session.execute(text("SELECT customer_id, live FROM stale"))).all()
    assert sorted(row.customer_id for row in marked) == sorted(vias)
    assert not any(row.live for row in marked), "nobody is written to because of a definition"


async def test_a_share_of_what_is_masked_is_neither_asked_for_nor_told(
    client: httpx.AsyncClient, token: Callable[..., str], hear: Hear, derive: Derive, fire: Fire
) -> None:
    rich = {"key": "rich", "kind": "computed", "rule": None, "computed": {"trait": "income", "top": 50.0}}
    blind = {"Authorization": f"Bearer {token('schema:*', 'customers:read', fields=())}"}
    answer = await client.post("/v1/tags", json={**PRO, **rich}, headers=blind)
    assert (answer.status_code, answer.json()["code"]) == (403, "field_masked"), answer.text
    await define(client, **rich)
    vias = [uuid7(), uuid7()]
    await hear(*(identified({"income": income}, via=via) for via, income in zip(vias, (1111, 2222), strict=True)))
    await derive()
    await fire()
    await derive()
    tag = await client.get("/v1/tags/rich")
    why = f"/v1/customers/{vias[1]}/tags/rich/explain"
    assert (tag.json()["cut"], (await client.get(why)).json()["value"]) == ("2222", 2222)
    for path in ("/v1/tags/rich", "/v1/tags", why):
        assert "2222" not in (await client.get(path, headers=blind)).text, path
    headers = {**blind, "If-Match": tag.headers["ETag"]}
    answer = await client.patch("/v1/tags/rich", json={"computed": {"trait": "income", "top": 1.0}}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "field_masked")


async def test_the_shops_own_classes_hold_for_definitions(client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    trait = {"key": "shoe", "label": {"en": "Shoe"}, "type": "string", "sensitivity": "sensitive"}
    made = await client.post("/v1/traits", json=trait, headers={"Idempotency-Key": str(uuid7())})
    assert made.status_code == 201, made.text
    shoe = {"key": "shoed", "rule": {"trait": "shoe", "is": "boot"}}
    some = {"Authorization": f"Bearer {token('schema:*', fields=('personal',))}"}
    answer = await client.post("/v1/tags", json={**PRO, **shoe}, headers=some)
    assert (answer.status_code, answer.json()["code"]) == (403, "field_masked"), answer.text
    await define(client, **shoe)
    assert "boot" not in (await client.get("/v1/tags/shoed", headers=some)).text


async def test_counting_shares_waits_for_nobody_who_changes_one(committed: Database) -> None:
    document = {"label": {"en": "x"}, "about": {"en": ""}, "dimension": "value", "kind": "computed", "origin": "own"}
    kept = [
        {**document, "key": key, "basis": {"computed": {"trait": "gmv", "top": 10.0}}} for key in ("locked", "other")
    ]
    async with committed.write() as session:
        await queries.put(session, kept, "tester")
    async with committed.write() as changing, committed.write() as counting:
        await queries.one(changing, "locked", lock=True)
        async with asyncio.timeout(5):
            await shares.count(counting)
        [again] = (await counting.execute(text("SELECT due_at FROM timer WHERE kind = 'shares'"))).scalars()
        assert again > datetime.now(UTC)


@pytest.mark.parametrize(
    ("made", "kind"), [(ladders.ladder, "ladder"), (topics.topic, "topic")], ids=["ladder", "topic"]
)
async def test_two_do_not_make_the_same_at_once(made: Any, kind: str, committed: Database) -> None:
    async with committed.write() as one, committed.write() as other:
        assert await made(one, "twice", lock=True) is None
        assert not await try_lock(other, "profile", kind, "twice")
