"""Probe."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common import derive as common
from perennial.common.contracts.identity import Assignment, IdentifiersAssigned
from perennial.common.db import Database
from perennial.common.derive import mark
from perennial.common.ids import uuid7
from perennial.common.operations import worker as operations
from perennial.common.runtime import Runtime
from perennial.common.testing.events import tracked, identified
from perennial.common.testing.previews import EVERYBODY, World
from perennial.segments.definitions import service as definitions, previews
from perennial.segments.main import SERVICE
from perennial.segments.memberships import service, reconcile

ANY = {"If-Match": "*"}
ONCE = {"event": "Order Completed"}

def order(via: Any = None) -> Any:
    return tracked("Order Completed", {"order_id": uuid4().hex, "revenue": 1}, via=via)


async def test_cancel_in_tell(client, hear, settle, runtime, monkeypatch):
    who = order()
    await hear(who)
    made = (await client.post("/v1/segments", json={"name": "x", "rule": ONCE})).json()
    for _ in range(2):
        assert await operations.step_once(runtime)
    print((await client.get(f"/v1/segments/{made['id']}")).json()["state"])
    r = await client.post(f"/v1/operations/segments/{made['operation_id']}/cancel")
    print(r.status_code, r.json()["state"])
    await settle()
    async with runtime.database.write() as session:
        await reconcile.attend(session)
    async with runtime.database.read() as session:
        subjects = (await session.execute(text("SELECT subject FROM outbox"))).scalars().all()
    assert "segments.membership.changed.v1" in str(subjects) or "memberships" in str(subjects), subjects


async def test_unheard_timeout(client, hear, settle, runtime, monkeypatch):
    real = previews._unheard
    async def seen(session, rule):
        print("timeout", (await session.execute(text("SHOW statement_timeout"))).scalar_one())
        await session.execute(text("SELECT pg_sleep(3)"))
        return await real(session, rule)
    monkeypatch.setattr(previews, "_unheard", seen)
    rule = {"all": [ONCE, {"not": {"event": "Refunded Twice"}}]}
    r = await client.post("/v1/segments/preview", json={"rule": rule})
    assert r.status_code == 200, r.text


@pytest.mark.parametrize("rule", [
    {"trait": "name", "is": "a\u0000b"},
    {"trait": "na\u0000me", "exists": True},
    {"event": "a\u0000b"},
    {"event": "x", "where": [{"property": "a\u0000", "is": "x"}]},
    {"event": "x", "within": "P99999999999D"},
    {"event": "x", "count": {"gte": 10**400}},
    {"event": "x", "sum": {"property": "a", "gte": 1e308}},
    {"event": "x", "within": "P0D"},
    {"trait": "tags", "contains": "x" * 100000},
    {"trait": "tags[]", "matches": "(a+)+$"},
    {"trait": "tags[]", "matches": "(?=a)"},
    {"trait": "stage", "matches": "(" * 500 + ")" * 500},
    {"trait": "stage", "in": ["x"] * 100000},
    {"random": {"salt": "\u0000", "from": 0, "to": 10}},
    {"event": "x" * 100000},
    {"tag": "\u0000"},
    {"stage": "\u0000"},
    {"any_of": "products", "where": []},
    {"segment": "x"},
    {"all": []},
    {},
], ids=lambda r: str(r)[:60])
async def test_odd(client, rule):
    for path, body in (("/v1/segments", {"name": "x" + uuid4().hex, "rule": rule}), ("/v1/segments/preview", {"rule": rule})):
        r = await client.post(path, json=body)
        print(path, r.status_code, r.text[:200])
        assert r.status_code < 500


async def test_surrogate(client):
    for raw in (b'{"name":"a\\ud800","rule":{"everyone":true}}', b'{"name":"a","rule":{"event":"a\\ud800"}}', b'{"name":"a\\u0000","rule":{"everyone":true}}', b'{"name":"a","rule":{"event":"x","count":{"gte":1e999}}}', b'{"name":"a","rule":{"event":"x","count":{"gte":NaN}}}', b'{"name":"a","rule":' + b'{"not":' * 3000 + b'{}' + b'}' * 3000 + b'}'):
        r = await client.post("/v1/segments", content=raw, headers={"Content-Type": "application/json"})
        print(r.status_code, r.text[:300])
        assert r.status_code < 500, raw[:100]


async def test_list_masks(client, hear, token):
    pass


async def test_archive_race(committed: Database, settings: Any, monkeypatch: Any) -> None:
    runtime = Runtime(SERVICE, settings, committed, nats=None)
    world, via = World(runtime), uuid7()
    await world.hear(tracked("Seen", via=via))
    async with committed.write() as session:
        segment = await definitions.define(session, EVERYBODY, "x", {"event": "Joined"})
    while await operations.step_once(runtime):
        pass
    async def derived(database):
        async with database.write() as session:
            await session.execute(text("UPDATE stale SET at = now() - interval '1 second'"))
            while await common.derive_once(session, SERVICE.derive):
                pass
    await derived(committed)
    await world.hear(tracked("Joined", via=via))
    began, go_on = asyncio.Event(), asyncio.Event()
    async with committed.write() as session:
        await mark(session, [via], live=True)
        await session.execute(text("DELETE FROM membership"))
    real = service.live_segments
    async def slow(session):
        found = await real(session)
        began.set()
        await go_on.wait()
        return found
    monkeypatch.setattr(service, "live_segments", slow)
    first = asyncio.create_task(derived(committed))
    await began.wait()
    async with committed.write() as session:
        row = await definitions.find_locked(session, segment)
        await definitions.archive(session, row)
    go_on.set()
    await first
    await derived(committed)
    async with committed.write() as session:
        await reconcile.attend(session)
    async with committed.write() as session:
        found = (await session.execute(text("SELECT customer_id FROM membership"))).scalars().all()
    assert found == []


async def test_name_race(committed: Database, settings: Any) -> None:
    runtime = Runtime(SERVICE, settings, committed, nats=None)
    async def one():
        async with committed.write() as session:
            await definitions.define(session, EVERYBODY, "x", {"event": "Joined"})
            await asyncio.sleep(0.5)
    got = await asyncio.gather(one(), one(), return_exceptions=True)
    print([repr(g)[:300] for g in got])
    from perennial.common.problems import Problem
    assert all(g is None or isinstance(g, Problem) for g in got)
