"""Computed traits as they are declared, shown, explained, replaced and archived."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import tracked
from perennial.common.timers import Timer
from perennial.profile.computed.derive import strike
from perennial.profile.rows import clock

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Declare = Callable[..., Awaitable[httpx.Response]]
Build = Callable[[], Awaitable[int]]
NOW = datetime.now(UTC).replace(microsecond=0)
BOUGHT: dict[str, Any] = {"events": ["Bought"]}


async def shown(get: Show, customer: UUID) -> dict[str, Any]:
    return {item["key"]: item["value"] for item in await get(f"/v1/customers/{customer}/computed-traits")}


async def row_of(runtime: Runtime, customer: UUID) -> dict[str, Any]:
    async with runtime.database.read() as session:
        found = await session.execute(text("SELECT computed FROM customer WHERE customer_id = :id"), {"id": customer})
        return dict(found.scalar_one())


async def test_declared_later_the_past_is_counted_before_anybody_sees_it(
    hear: Hear, declare: Declare, build: Build, derive: Build, get: Show, runtime: Runtime
) -> None:
    via = uuid7()
    await hear(*(tracked("Bought", {"price": 1.5}, via=via, at=NOW - timedelta(days=days)) for days in (1, 40, 200)))
    made = await declare("spent", function="sum", property="price", **BOUGHT)
    assert (made.status_code, made.json()["state"], made.headers["location"]) == (
        201, "building", "/v1/computed-traits/spent",
    )  # fmt: skip
    await derive()
    assert "spent" not in await shown(get, via)
    assert "spent" not in await row_of(runtime, via)
    assert await build() > 3
    await hear(tracked("Bought", {"price": 1}, via=via, at=NOW - timedelta(days=100)))
    await derive()
    assert (await shown(get, via))["spent"] == (await row_of(runtime, via))["spent"] == 5.5
    assert (await get("/v1/computed-traits/spent"))["state"] == "ready"
    await declare("spent_at_most", function="max", property="price", **BOUGHT)
    assert await build() == 1, "it is known already: the two share what is kept"
    assert (await shown(get, via))["spent_at_most"] == 1.5


async def test_a_new_version_is_shown_once_it_is_ready(
    hear: Hear, declare: Declare, build: Build, get: Show, client: httpx.AsyncClient, runtime: Runtime, derive: Build
) -> None:
    via = uuid7()
    await hear(tracked("Bought", {"price": 2}, via=via), tracked("Sold", {"price": 3}, via=via))
    spec = {"key": "spent", "label": {"en": "Spent"}, "function": "sum", "property": "price"}
    tag = (await declare("spent", function="sum", property="price", **BOUGHT)).headers["etag"]
    await build()
    url = "/v1/computed-traits/spent"
    assert (await client.put(url, json=spec | BOUGHT)).status_code == 428
    relabelled = await client.put(url, json=spec | BOUGHT, headers={"If-Match": tag})
    assert (relabelled.status_code, relabelled.json()["state"]) == (200, "ready")
    assert (await client.put(url, json=spec | BOUGHT, headers={"If-Match": tag})).status_code == 412
    tag = relabelled.headers["etag"]
    changed = await client.put(url, json=spec | {"events": ["Sold"]}, headers={"If-Match": tag})
    assert (changed.json()["state"], changed.json()["version"]) == ("building", 3)
    assert (await shown(get, via))["spent"] == 2
    await build()
    assert (await shown(get, via))["spent"] == 3
    await derive()
    assert (await client.delete(url, headers={"If-Match": "*"})).status_code == 204
    assert (await client.get(url)).status_code == 404
    await build()
    await derive()
    assert "spent" not in await row_of(runtime, via)
    again = await declare("spent_again", function="sum", property="price", events=["Sold"])
    assert again.json()["state"] == "building", "what nobody needed was thrown away"


async def test_the_clock_alone_changes_a_window_and_a_timer_says_when(
    hear: Hear, declare: Declare, build: Build, derive: Build, get: Show, runtime: Runtime
) -> None:
    via = uuid7()
    await declare("lately", function="count", window="PT6H", **BOUGHT)
    await build()
    at = NOW - timedelta(hours=6, minutes=NOW.minute, seconds=NOW.second)
    await hear(tracked("Bought", via=via, at=at), tracked("Bought", via=via, at=NOW))
    await derive()
    [value] = [item for item in await get(f"/v1/customers/{via}/computed-traits") if item["key"] == "lately"]
    assert value["value"] == 2
    due = datetime.fromisoformat(value["next_change"])
    assert due == at + timedelta(hours=7)
    async with runtime.database.write() as session:
        found = (await session.execute(text("SELECT kind, key, due_at FROM timer"))).all()
        assert [tuple(row) for row in found] == [(clock.COMPUTED, str(via), due)]
        await session.execute(text("DELETE FROM stale"))
        await strike(session, [Timer(clock.COMPUTED, str(via), due)])
        assert (await session.execute(text("SELECT customer_id, live FROM stale"))).all() == [(via, True)]


async def test_what_changed_is_said_with_a_version(
    hear: Hear, declare: Declare, build: Build, derive: Build, runtime: Runtime
) -> None:
    via = uuid7()
    await declare("bought", function="count", **BOUGHT)
    await declare("colour", function="last", property="colour", **BOUGHT)
    await build()
    await hear(tracked("Bought", {"colour": "red"}, via=via, at=NOW))
    await derive()
    await hear(tracked("Bought", {"colour": "red"}, via=via, at=NOW))
    await derive()
    await hear(tracked("Looked", via=via))
    await derive()
    async with runtime.database.read() as session:
        said = await session.execute(text("SELECT body FROM outbox WHERE subject LIKE '%computed%' ORDER BY id"))
        items = [item for body in said.scalars() for item in msgspec.json.decode(body)["customers"]]
    news = [{key: item["traits"].get(key) for key in ("bought", "colour")} for item in items]
    assert news == [{"bought": 1, "colour": "red"}, {"bought": 2, "colour": None}]
    assert items[0]["version"] < items[1]["version"]


async def test_an_explanation_shows_what_a_value_is_made_of(
    hear: Hear, assign: Hear, declare: Declare, build: Build, get: Show
) -> None:
    one, other = uuid7(), uuid7()
    await declare("colours", function="unique_list", property="colour", window="P3D", **BOUGHT)
    await build()
    await hear(
        tracked("Bought", {"colour": "red"}, via=one, at=NOW),
        tracked("Bought", {"colour": "blue"}, via=other, at=NOW - timedelta(days=2)),
        tracked("Bought", {"colour": "green"}, via=other, at=NOW - timedelta(days=9)),
    )
    await assign(one, other, version=2)
    found = await get(f"/v1/customers/{other}/computed-traits/colours")
    assert (found["value"], found["function"], found["complete"]) == (["red", "blue"], "unique_list", True)
    assert [(part["via"], part["word"], part["count"]) for part in found["parts"]] == [
        (str(one), "red", 1), (str(other), "blue", 1),
    ]  # fmt: skip
    assert datetime.fromisoformat(found["since"]) <= NOW - timedelta(days=3)
    assert found["definition"]["window"] == "P3D"
    assert (await get(f"/v1/customers/{one}/computed-traits/colours"))["value"] == ["red", "blue"]


async def test_what_was_read_from_events_is_masked_and_figures_are_not(
    hear: Hear, declare: Declare, build: Build, client: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    via = uuid7()
    await declare("bought", function="count", **BOUGHT)
    await declare("colour", function="last", property="colour", **BOUGHT)
    await declare("shade", function="last", property="colour", sensitivity="public", **BOUGHT)
    await declare("reach", function="max", property="phone", **BOUGHT)
    await build()
    await hear(tracked("Bought", {"colour": "red", "phone": 13800138000}, via=via))
    analyst = {"Authorization": f"Bearer {token('customers:read', fields=(), kind='staff')}"}
    found = (await client.get(f"/v1/customers/{via}/computed-traits", headers=analyst)).json()
    values = {item["key"]: item["value"] for item in found}
    assert (values["bought"], values["shade"]) == (1, "red")
    assert "red" not in str(values["colour"])
    detail = await client.get(f"/v1/customers/{via}/computed-traits/reach", headers=analyst)
    assert "13800138000" not in detail.text + str(values)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("/events", {"function": "count"}),
    ("/property", {"function": "sum", **BOUGHT}),
    ("/property", {"function": "count", "property": "price", **BOUGHT}),
    ("/property", {"function": "sum", "property": "a..b", **BOUGHT}),
    ("/property", {"function": "most_frequent", "property": "$moon", **BOUGHT}),
    ("/property", {"function": "sum", "property": "price", "source": "orders"}),
    ("/events", {"function": "count", "source": "orders", **BOUGHT}),
    ("/function", {"function": "sessions", "source": "orders"}),
    ("/window", {"function": "count", "window": "P1M", **BOUGHT}),
    ("/window", {"function": "count", "window": "PT90M", **BOUGHT}),
    ("/window", {"function": "count", "window": "fortnight", **BOUGHT}),
    ("/timezone", {"function": "count", "timezone": "Mars/Base", **BOUGHT}),
    ("/gap", {"function": "sessions", "gap": "PT1S", **BOUGHT}),
    ("/gap", {"function": "count", "gap": "PT10M", **BOUGHT}),
    ("/money", {"function": "count", "money": True, **BOUGHT}),
    ("/having", {"function": "share", **BOUGHT}),
    ("/having", {"function": "count", "having": [{"property": "a", "is": 1}], **BOUGHT}),
    ("/where/0/property", {"function": "count", "where": [{"propery": "a", "is": 1}], **BOUGHT}),
    ("/where/1", {"function": "count", "where": [{"property": "a", "is": 1}, {"property": "b"}], **BOUGHT}),
    ("/where/0", {"function": "count", "where": [{"property": "a", "before": "P3D"}], **BOUGHT}),
    ("/where/0/property", {"function": "count", "where": [{"property": "$hour", "gt": 3}], **BOUGHT}),
    ("/where/0/property", {"function": "count", "where": [{"property": "colour", "is": "a"}], "source": "orders"}),
    ("/sensitivity", {"function": "last", "property": "phone", "sensitivity": "public", **BOUGHT}),
    ("/function", {"function": "median", **BOUGHT}),
    ("/limit", {"function": "unique_list", "property": "a", "limit": 5000, **BOUGHT}),
]


@pytest.mark.parametrize(("pointer", "spec"), REFUSED, ids=range(len(REFUSED)))
async def test_what_cannot_be_is_refused_with_where(declare: Declare, pointer: str, spec: dict[str, Any]) -> None:
    answer = await declare("refused", **spec)
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]] or answer.json().get("pointer") == pointer


async def test_a_key_is_taken_once(declare: Declare, client: httpx.AsyncClient) -> None:
    assert (await declare("bought", function="count", **BOUGHT)).status_code == 201
    body = {"key": "bought", "label": {"en": "Bought"}, "function": "count", **BOUGHT}
    again = await client.post("/v1/computed-traits", json=body, headers={"Idempotency-Key": "other"})
    assert (again.status_code, again.json()["code"]) == (409, "key_taken")
    other = await client.post("/v1/computed-traits", json=body | {"key": "birthday"}, headers={"Idempotency-Key": "b"})
    assert (other.status_code, other.json()["code"]) == (409, "key_taken"), "sources say it"
    for key in ("Bought", "a-b", "tags", "a__b"):
        answer = await client.post("/v1/computed-traits", json=body | {"key": key}, headers={"Idempotency-Key": key})
        assert answer.status_code == 422, key


async def test_nobody_compares_what_is_masked_for_them(client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    body = {"key": "calls", "label": {"en": "Calls"}, "function": "count", "where": [{"property": "phone", "is": "1"}]}
    headers = {"Authorization": f"Bearer {token('schema:write', fields=())}", "Idempotency-Key": "calls"}
    answer = await client.post("/v1/computed-traits", json=body | BOUGHT, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "field_masked")
