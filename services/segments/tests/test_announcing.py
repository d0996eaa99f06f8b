"""Announcing who is in a segment: once for each request, in pages, whatever dies in between."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common import outbox
from perennial.common.contracts.segments import MembershipEntered
from perennial.common.operations import worker as operations
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.segments.announcing import service

Settle = Callable[[], Awaitable[None]]
Hear = Callable[..., Awaitable[None]]
ANY = {"If-Match": "*"}


def order(*, live: bool = False) -> Any:
    return tracked("Order Completed", {"order_id": uuid4().hex, "revenue": 1}, live=live)


@pytest.fixture
def entered(runtime: ServiceRuntime) -> Callable[[], Awaitable[list[MembershipEntered]]]:
    """What is said of entries since the last time, and is published then."""

    async def found() -> list[MembershipEntered]:
        async with runtime.database.write() as session:
            rows = await session.execute(text("SELECT body FROM outbox WHERE subject = :s ORDER BY id"), {
                "s": MembershipEntered.subject
            })  # fmt: skip
            facts = [MembershipEntered.model_validate(json.loads(body)) for (body,) in rows]
            await session.execute(text("DELETE FROM outbox"))
        return facts

    return found


Entered = Callable[[], Awaitable[list[MembershipEntered]]]


async def define(client: httpx.AsyncClient, settle: Settle, **body: Any) -> str:
    made = await client.post("/v1/segments", json={"name": "buyers", "rule": {"event": "Order Completed"}, **body})
    assert made.status_code == 201, made.text
    await settle()
    return str(made.json()["id"])


async def announce(client: httpx.AsyncClient, segment: str, **body: Any) -> httpx.Response:
    return await client.post(f"/v1/segments/{segment}/announce", json=body)


async def outcome(client: httpx.AsyncClient, started: httpx.Response) -> tuple[str, int, Any]:
    assert started.status_code == 202, started.text
    found = (await client.get(started.headers["Location"])).json()
    return found["state"], found["done"], found["result"]


async def memberships(runtime: ServiceRuntime, segment: str) -> dict[UUID, tuple[int, datetime]]:
    async with runtime.database.read() as session:
        rows = await session.execute(
            text("SELECT customer_id, version, since FROM membership WHERE segment_id = :id"), {"id": segment}
        )
        return {row.customer_id: (row.version, row.since) for row in rows}


async def test_members_of_now_are_said_with_their_versions_a_page_at_a_time(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime, entered: Entered,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(service, "AT_ONCE", 2)
    await hear(*(order() for _ in range(4)))
    segment = await define(client, settle)
    assert await entered() == [], "a build says nothing"
    await hear(order(live=True))
    [live] = await entered()
    assert not live.announced
    started = await announce(client, segment)
    await settle()
    assert await outcome(client, started) == ("succeeded", 5, {"announced": 5})
    said = await entered()
    assert all(fact.announced and fact.segment_name == "buyers" for fact in said)
    assert {fact.customer: (fact.version, fact.occurred_at) for fact in said} == await memberships(runtime, segment)
    assert len(said) == 5
    assert [(fact.version, fact.occurred_at) for fact in said if fact.customer == live.customer] == [
        (live.version, live.occurred_at)
    ], "who has heard of it can tell that it is the same"


async def test_those_alone_who_entered_since(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime, entered: Entered
) -> None:
    early, late = order(), order()
    await hear(early, late)
    segment = await define(client, settle)
    instant = datetime.now(UTC) - timedelta(days=1)
    async with runtime.database.write() as session:
        await session.execute(
            text("UPDATE membership SET since = :at WHERE customer_id = :who"),
            {"at": instant - timedelta(days=1), "who": early.via},
        )
    started = await announce(client, segment, since=instant.isoformat())
    await settle()
    assert await outcome(client, started) == ("succeeded", 1, {"announced": 1})
    assert [fact.customer for fact in await entered()] == [late.via]


async def test_a_worker_that_dies_in_a_page_has_said_nothing_of_it(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime, entered: Entered,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(service, "AT_ONCE", 2)
    await hear(*(order() for _ in range(5)))
    segment = await define(client, settle)
    started = await announce(client, segment)
    assert await operations.step_once(runtime)

    async def dying(*said: Any) -> None:
        await outbox.emit(*said)
        raise ConnectionResetError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(service, "emit", dying)
        assert await operations.step_once(runtime)
    assert (await outcome(client, started))[:2] == ("running", 2)
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE operation SET next_at = now()"))
    await settle()
    assert (await outcome(client, started))[:2] == ("succeeded", 5)
    said = [fact.customer for fact in await entered()]
    assert (len(said), len(set(said))) == (5, 5)


async def test_it_gives_way_while_facts_wait_to_be_published(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime, entered: Entered,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(service, "MOST_WAITING", 1)
    await hear(order())
    segment = await define(client, settle)
    started = await announce(client, segment)
    await settle()
    assert (await outcome(client, started))[1:] == (0, None)
    assert await entered() == []
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE operation SET next_at = now()"))
    await settle()
    assert (await outcome(client, started))[:2] == ("succeeded", 1)
    assert len(await entered()) == 1


async def test_whoever_was_merged_into_another_is_not_announced(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime, entered: Entered
) -> None:
    one, other = order(), order()
    await hear(one, other)
    segment = await define(client, settle)
    async with runtime.database.write() as session:  # nobody has computed them yet
        await session.execute(
            text("UPDATE identity_map SET customer_id = :one, version = version + 1 WHERE via = :other"),
            {"one": one.via, "other": other.via},
        )
    assert (await announce(client, segment)).status_code == 202
    await settle()
    assert [fact.customer for fact in await entered()] == [one.via]


async def test_one_announcement_at_a_time_and_only_of_what_serves(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, entered: Entered
) -> None:
    await hear(order())
    draft = await define(client, settle, name="draft", draft=True)
    refused = await announce(client, draft)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_serving")
    assert (await announce(client, str(uuid4()))).status_code == 404
    segment = await define(client, settle)
    once = {"Idempotency-Key": "k"}
    first = await client.post(f"/v1/segments/{segment}/announce", json={}, headers=once)
    again = await client.post(f"/v1/segments/{segment}/announce", json={}, headers=once)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    refused = await announce(client, segment)
    assert (refused.status_code, refused.json()["code"]) == (409, "announcing")
    await settle()
    assert len(await entered()) == 1
    assert (await announce(client, segment)).status_code == 202, "asked once more, it is said once more"
    await settle()
    assert len(await entered()) == 1


async def test_a_segment_that_is_archived_meanwhile_is_announced_no_further(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, entered: Entered
) -> None:
    await hear(order())
    segment = await define(client, settle)
    started = await announce(client, segment)
    assert (await client.delete(f"/v1/segments/{segment}", headers=ANY)).status_code == 204
    await settle()
    assert (await outcome(client, started))[0] == "failed"
    assert await entered() == []


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01T00:00:00", 5])
async def test_since_is_an_instant(client: httpx.AsyncClient, settle: Settle, since: object) -> None:
    segment = await define(client, settle)
    refused = await announce(client, segment, since=since)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/since")
