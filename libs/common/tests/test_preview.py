"""A preview is what would be shown: it leaves nothing, holds up nobody, and is bounded."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from perennial.common import identity_map
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import Assignment
from perennial.common.db import Database, ReadSession, WriteSession
from perennial.common.derive import Derivation, Stale, mark_changes
from perennial.common.notify import notify
from perennial.common.outbox import emit
from perennial.common.preview import OF_CUSTOMERS, Preview, looking
from perennial.common.preview.looking import MOST, Assigned, look_ahead
from perennial.common.service import ServiceRuntime
from perennial.common.testing.plugin import customer
from perennial.common.testing.previews import EVERYBODY, World
from perennial.common.testing.probe import PROBE, ThingDone
from perennial.common.timers import Timer, schedule
from perennial.common.web.app import create_app, no_lifespan


async def count(session: WriteSession, stale: Stale) -> None:
    """Derive how many identifiers each customer has, and make as much noise as a derivation can."""
    for current in stale.live:
        await session.execute(
            text("""INSERT INTO seen (id, name, times)
                    SELECT customer_id, 'identifiers', count(*) FROM identity_map WHERE customer_id = :id GROUP BY 1
                    ON CONFLICT (id) DO UPDATE SET times = excluded.times"""),
            {"id": current},
        )
        await emit(session, ThingDone(what="counted"))
        await schedule(session, [Timer("t", str(current), utc_now())])
        await notify(session, "probe")
    await session.execute(text("DELETE FROM seen WHERE id = ANY(:ids)"), {"ids": stale.gone})


async def show(session: ReadSession, _: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
    rows = await session.execute(text("SELECT id, times FROM seen WHERE id = ANY(:ids)"), {"ids": list(customers)})
    return {row.id: row.times for row in rows}


PREVIEW = Preview(show, "things:read", writes={"seen": OF_CUSTOMERS.replace("customer_id", "id")})
COUNTING = replace(PROBE, keeps_map=True, map_changed=mark_changes, derive=Derivation(count), preview=PREVIEW)


@pytest.fixture
def world(settings: Any, committed: Database) -> World:
    return World(ServiceRuntime(COUNTING, settings, committed, nats=None))  # type: ignore[arg-type]


async def two(world: World) -> tuple[UUID, UUID]:
    """Two customers; the first has two identifiers."""
    async with world.runtime.database.write() as session:
        one, other = await customer(session), await customer(session)
        await customer(session, of=one)
        await mark_changes(session, [identity_map.MapChange(via, via, via) for via in (one, other)])
    await world.derive()
    return one, other


async def test_a_preview_says_what_will_be_shown(world: World) -> None:
    one, other = await two(world)
    seen = await world.agrees(Assigned(via=other, customer_id=one, version=2))
    assert (seen.before, seen.after) == ({one: 2, other: 1}, {one: 3})
    seen = await world.agrees(Assigned(via=other, customer_id=other, version=3))
    assert (seen.before, seen.after) == ({one: 3}, {one: 2, other: 1})


async def test_what_is_old_news_changes_nothing(world: World) -> None:
    one, other = await two(world)
    seen = await world.preview(Assigned(via=other, customer_id=one, version=1))
    assert seen.before == seen.after == {one: 2, other: 1}


async def test_an_identifier_that_is_not_known_yet(world: World) -> None:
    one, _ = await two(world)
    stranger = UUID(int=7)
    seen = await world.preview(Assigned(via=stranger, customer_id=one, version=2))
    assert (seen.before, seen.after) == ({one: 2}, {one: 3})


async def test_nobody_is_told(world: World, database_urls: Any) -> None:
    one, other = await two(world)
    await asyncio.sleep(0.2)  # what their coming woke is told by then: a moment after each commit
    heard: list[str] = []
    connection = await asyncpg.connect(database_urls.login)
    for name in ("outbox", "stale", "timers", "probe"):
        await connection.add_listener(f"probe.{name}", lambda *_: heard.append(_[2]))
    await world.preview(Assigned(via=other, customer_id=one, version=2))
    await connection.execute("SELECT pg_notify('probe.probe', '')")
    await asyncio.sleep(0.05)
    assert heard == ["probe.probe"]
    await connection.close()


async def test_a_change_of_the_same_customers_does_not_wait_for_a_preview(world: World) -> None:
    one, other = await two(world)
    looking, done = asyncio.Event(), asyncio.Event()

    async def slowly(session: ReadSession, who: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
        looking.set()
        await done.wait()
        return await show(session, who, customers)

    slow = replace(COUNTING, preview=replace(PREVIEW, show=slowly))
    assignment = Assigned(via=other, customer_id=one, version=2)
    preview = asyncio.create_task(look_ahead(world.runtime.database, slow, EVERYBODY, [assignment]))
    await looking.wait()
    async with asyncio.timeout(2), world.runtime.database.write() as session:
        await session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        await identity_map.lock_customers(session, [one, other])
        await identity_map.apply(session, [Assignment(via=other, customer=other, version=5)])
        await count(session, Stale({one: False}, []))
    done.set()
    seen = await preview
    assert (seen.before, seen.after) == ({one: 2, other: 1}, {one: 3})  # the snapshot that it began with


@pytest.fixture
async def http(world: World, settings: Any, token: Any) -> httpx.AsyncClient:
    app = create_app(COUNTING, settings, no_lifespan)
    app.state.runtime = world.runtime
    return _client(app, token("*"))


def _client(app: FastAPI, token: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(
        transport=transport, base_url="http://service", headers={"Authorization": f"Bearer {token}"}
    )


async def test_over_http(world: World, http: httpx.AsyncClient, token: Any) -> None:
    one, other = await two(world)
    body = {"assignments": [{"via": str(other), "customer_id": str(one), "version": 2}]}
    answer = await http.post("/v1/previews/probe", json=body)
    assert (answer.status_code, answer.json()) == (
        200, {"before": {str(one): 2, str(other): 1}, "after": {str(one): 3}},
    )  # fmt: skip
    for scopes in (["things:read"], ["identities:read"], ["identities:write"]):
        refused = await http.post(
            "/v1/previews/probe", json=body, headers={"Authorization": f"Bearer {token(*scopes)}"}
        )
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    stranger = await http.post("/v1/previews/probe", json=body, headers={"Authorization": ""})
    assert stranger.status_code == 401
    many = {"assignments": body["assignments"] * (MOST + 1)}
    assert (await http.post("/v1/previews/probe", json=many)).status_code == 422
    assert (await http.post("/v1/previews/probe", json={"assignments": []})).status_code == 422


async def test_a_third_preview_at_once_is_told_to_come_back(world: World, settings: Any, token: Any) -> None:
    one, other = await two(world)
    looking, done = asyncio.Semaphore(0), asyncio.Event()

    async def slowly(session: ReadSession, who: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
        looking.release()
        await done.wait()
        return await show(session, who, customers)

    app = create_app(replace(COUNTING, preview=replace(PREVIEW, show=slowly)), settings, no_lifespan)
    app.state.runtime = world.runtime
    http, body = _client(app, token("*")), {"assignments": [{"via": str(other), "customer_id": str(one), "version": 2}]}
    running = [asyncio.create_task(http.post("/v1/previews/probe", json=body)) for _ in range(2)]
    for _ in running:
        await looking.acquire()
    busy = await http.post("/v1/previews/probe", json=body)
    assert (busy.status_code, busy.json()["code"], busy.headers["retry-after"]) == (503, "busy", "1")
    done.set()
    assert [(await answer).status_code for answer in running] == [200, 200]


async def test_one_that_takes_too_long_is_given_up(
    world: World, settings: Any, token: Any, database_urls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await two(world)

    async def slowly(session: ReadSession, who: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
        await session.execute(text("SELECT pg_sleep(2)"))
        return await show(session, who, customers)

    monkeypatch.setattr(looking, "SECONDS", 0.3)
    app = create_app(replace(COUNTING, preview=replace(PREVIEW, show=slowly)), settings, no_lifespan)
    app.state.runtime = world.runtime
    body = {"assignments": [{"via": str(other), "customer_id": str(one), "version": 2}]}
    answer = await _client(app, token("*")).post("/v1/previews/probe", json=body)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    connection = await asyncpg.connect(database_urls.admin)
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'perennial-aside' AND datname = $1"
    for _ in range(20):
        if await connection.fetchval(left, await connection.fetchval("SELECT current_database()")) == 0:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("its connection is still there")
    await connection.close()


async def test_a_service_without_a_preview_has_no_such_route(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/previews/probe", json={})).status_code == 404


def test_the_route_is_no_part_of_the_document(settings: Any) -> None:
    assert "/v1/previews/probe" not in create_app(COUNTING, settings, no_lifespan).openapi()["paths"]
