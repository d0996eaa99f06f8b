"""Definitions of traits: made at run time, in force from the next batch on, versions kept."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.db import Database, WriteSession
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.settings import CommonSettings
from perennial.common.testing.events import identified
from perennial.profile.traits import sealing
from perennial.profile.traits.definitions import service
from perennial.profile.traits.definitions.schemas import TraitDefined
from perennial.profile.traits.sweeps.jobs import add_up, reseal

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SIZE = {"key": "size", "label": {"en": "Size", "zh": "尺码"}, "type": "number", "minimum": "0", "maximum": "60"}


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


async def traits(get: Show, via: UUID) -> Any:
    return (await get(f"/v1/customers/{via}"))["traits"]


async def test_a_definition_is_in_force_from_the_next_batch_on(
    client: httpx.AsyncClient, hear: Hear, get: Show
) -> None:
    via = uuid7()
    await hear(identified({"size": "big"}, via=via, at=at(0)))
    made = await client.post("/v1/traits", json=SIZE)
    assert (made.status_code, made.headers["location"], made.headers["etag"]) == (201, "/v1/traits/size", '"1"')
    await hear(identified({"size": "41.50"}, via=via, at=at(1)))
    assert await traits(get, via) == {"size": 41.5}
    await hear(identified({"size": "bigger"}, via=via, at=at(2)), identified({"size": 61}, via=via, at=at(3)))
    assert await traits(get, via) == {"size": 41.5}, "what does not fit replaces nothing"
    refused = (await get("/v1/traits/refused", key="size"))["items"]
    assert [(one["reason"], one["source"], one["count"], one["examples"]) for one in refused] == [
        ("range", "shop", 1, ["99"]),
        ("type", "shop", 1, ['"aaaaaa"']),
    ]


async def test_a_definition_has_versions_and_is_changed_by_who_has_seen_it(
    client: httpx.AsyncClient, get: Show
) -> None:
    await client.post("/v1/traits", json=SIZE)
    change = {**SIZE, "maximum": "70"}
    del change["key"]
    assert (await client.put("/v1/traits/size", json=change)).status_code == 428
    assert (await client.put("/v1/traits/size", json=change, headers={"If-Match": '"7"'})).status_code == 412
    answer = await client.put("/v1/traits/size", json=change, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["definition"]["maximum"], answer.headers["etag"]) == (200, "70", '"2"')
    assert (await client.post("/v1/traits", json=SIZE)).status_code == 409
    gone = await client.post("/v1/traits/size/archive", headers={"If-Match": "*"})
    assert (gone.json()["state"], gone.json()["version"]) == ("archived", 3)
    assert (await client.put("/v1/traits/size", json=change, headers={"If-Match": "*"})).status_code == 404
    assert [one["version"] for one in (await get("/v1/traits/size/versions"))["items"]] == [3, 2, 1]
    assert "size" not in {one["key"] for one in (await get("/v1/traits", limit=200))["items"]}
    again = await client.post("/v1/traits", json=SIZE)
    assert (again.status_code, again.json()["version"]) == (201, 4)


async def test_reserved_traits_are_there_and_refuse_nothing_until_they_are_defined(
    client: httpx.AsyncClient, hear: Hear, get: Show
) -> None:
    via = uuid7()
    listed = {one["key"]: one for one in (await get("/v1/traits", limit=200))["items"]}
    assert (listed["birthday"]["state"], listed["birthday"]["definition"]["type"]) == ("preset", "date")
    assert listed["email"]["sensitivity"] == "sensitive"
    await hear(identified({"birthday": "early May", "age": "40", "createdAt": "2020"}, via=via, at=at(0)))
    assert await traits(get, via) == {"birthday": "early May", "age": 40, "created_at": "2020"}
    assert (await client.post("/v1/traits/birthday/adopt")).status_code == 201
    await hear(identified({"birthday": "late May"}, via=via, at=at(1)))
    assert (await traits(get, via))["birthday"] == "early May", "kept until it is swept"
    assert (await get("/v1/traits/birthday"))["state"] == "active"


async def test_what_was_only_seen_is_proposed_and_can_be_adopted(
    client: httpx.AsyncClient, hear: Hear, get: Show, runtime: Runtime
) -> None:
    via = uuid7()
    for minutes, value, source in ((0, "2026-01-02", "shop"), (1, "2026-02-03", "app"), (2, "soon", "app")):
        await hear(identified({"wedding_day": value, "email": "a@b.example"}, via=via, at=at(minutes), source=source))
    for _ in range(2):
        [guess] = (await get("/v1/traits/proposed"))["items"]
        assert (guess["key"], guess["type"], guess["count"], guess["sources"]) == (
            "wedding_day", "date", 3, ["app", "shop"],
        )  # fmt: skip
        assert (guess["first_at"], guess["last_at"]) == ("2026-05-01T12:00:00Z", "2026-05-01T12:02:00Z")
        await add_up(runtime)
    adopted = await client.post("/v1/traits/wedding_day/adopt")
    assert (adopted.status_code, adopted.json()["definition"]["type"]) == (201, "date")
    assert (await get("/v1/traits/proposed"))["items"] == []
    assert (await client.post("/v1/traits/wedding_day/adopt")).status_code == 409
    assert (await client.post("/v1/traits/never_seen/adopt")).status_code == 404


async def test_adding_up_keeps_every_count(hear: Hear, runtime: Runtime, session: WriteSession) -> None:
    for minutes in range(4):
        await hear(identified({"colour": minutes % 2}, via=uuid7(), at=at(minutes)))
    query = text("SELECT key, type, sum(count), min(first_at), max(last_at) FROM trait_tally GROUP BY 1, 2")
    before = (await session.execute(query)).all()
    await add_up(runtime)
    assert (await session.execute(query)).all() == before
    assert (await session.execute(text("SELECT count(*) FROM trait_tally"))).scalar_one() == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"key": "shoeSize"}, "one spelling, 'shoe_size'"),
        ({"key": "form"}, "word of a route"),
        ({"pattern": "("}, "not a pattern"),
        ({"pattern": "a"}, "pattern: only string"),
        ({"minimum": "x"}, "minimum: not a number"),
        ({"minimum": "NaN"}, "minimum: not a number"),
        ({"minimum": "61"}, "greater than the maximum"),
        ({"strategy": "union"}, "union is for list"),
        ({"type": "enum", "minimum": None, "maximum": None}, "an enum has some"),
        ({"sources": ["a", "a"]}, "each once"),
        ({"key": "phone", "sensitivity": "public"}, "sensitivity_lowered"),
        ({"sensitivity": "sensitive", "strategy": "sum"}, "sealed values cannot be compared"),
        ({"label": {}}, "en"),
    ],
)  # fmt: skip
async def test_a_definition_that_contradicts_itself_is_refused(
    client: httpx.AsyncClient, change: dict[str, Any], said: str
) -> None:
    answer = await client.post("/v1/traits", json={**SIZE, **change})
    assert answer.status_code == 422
    assert said in answer.text


async def test_writers_need_their_scope(client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    headers = {"Authorization": f"Bearer {token('schema:read', 'customers:read')}"}
    assert (await client.get("/v1/traits", headers=headers)).status_code == 200
    assert (await client.post("/v1/traits", json=SIZE, headers=headers)).status_code == 403
    once = {**headers, "Idempotency-Key": "x"}
    patch = await client.patch(f"/v1/customers/{uuid7()}/traits", json={"traits": {}, "reason": "x"}, headers=once)
    assert patch.status_code == 403


async def test_a_definition_waits_for_batches_that_were_checked_by_the_one_before(
    committed: Database, settings: CommonSettings
) -> None:
    """A value checked by the old definition must be written before the sweep of the new one reads it."""
    who, body = Principal("staff", "ann", frozenset({"*"})), TraitDefined.model_validate(SIZE)

    async def defines() -> None:
        async with committed.write() as session:
            await service.define(session, who, body)

    async with committed.write() as writing:
        await sealing.sealer(writing)
        waiting = asyncio.create_task(defines())
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
    await asyncio.wait_for(waiting, 5)
    async with committed.write() as session:
        assert "size" in (await sealing.sealer(session)).schema.own


async def test_what_a_stricter_definition_does_not_take_is_hidden_and_comes_back(
    client: httpx.AsyncClient, hear: Hear, get: Show, runtime: Runtime
) -> None:
    via = uuid7()
    await hear(identified({"size": 70}, via=via, at=at(1)), identified({"size": "38"}, via=via, at=at(0), source="app"))
    await client.post("/v1/traits", json=SIZE)
    await reseal(runtime)
    assert await traits(get, via) == {"size": 38}, "what fits stands, in its canonical form"
    explained = await get(f"/v1/customers/{via}/traits/size")
    assert [(one["source"], one["fate"]) for one in explained["statements"]] == [("shop", "unfit"), ("app", "shown")]
    change = {name: value for name, value in SIZE.items() if name != "key"}
    await client.put("/v1/traits/size", json={**change, "maximum": "80"}, headers={"If-Match": "*"})
    await reseal(runtime)
    assert await traits(get, via) == {"size": 70}
