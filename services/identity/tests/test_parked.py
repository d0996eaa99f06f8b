"""Events that cannot be decided are put aside, sealed, and replayed."""

import base64
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import SUBJECT
from perennial.common.db import Database
from perennial.common.messaging.parked import ParkedRow
from perennial.common.runtime import Runtime
from perennial.common.service import Service
from perennial.common.settings import CommonSettings
from perennial.common.web.app import create_app, no_lifespan
from perennial.identity.parked import rows
from perennial.identity.replays.service import OPERATOR, replay, replay_or_raise, waiting
from perennial.identity.settings import IdentitySettings, vault_of
from perennial.identity.testing.broker import done, published, send, until

STAFF = Principal("staff", "ann", frozenset({"*"}))


async def parked_rows(database: Database) -> list[ParkedRow]:
    async with database.read() as session:
        return await rows.listing(session, vault_of(cast("IdentitySettings", database.info["settings"])), 0, 100)


async def test_a_poisoned_event_is_parked_alone_and_replayed_after_the_fix(
    poisoned: Callable[[], None], consuming: Runtime, committed: Database, accept: Any
) -> None:
    events = [accept(userId=f"u{n}") for n in range(500)]
    events[123] = accept(userId="poison", message_id="bad")
    await send(consuming, *events)
    await until(lambda: done(consuming))
    assert len(await published(consuming)) == 499
    [row] = await parked_rows(committed)
    assert (row.error, row.subject) == ("ValueError('poison')", SUBJECT)

    done_, failed = await replay(consuming, [row.id], STAFF)
    assert (done_, failed) == ([], {row.id: "poison"})
    poisoned()
    assert await replay(consuming, [row.id], STAFF) == ([row.id], {})
    assert await replay(consuming, [row.id], STAFF) == ([], {})
    assert [event.message_id for event in await published(consuming)].count("bad") == 1


async def test_operators_list_and_replay_what_is_sealed(
    poisoned: Callable[[], None], consuming: Runtime, committed: Database, accept: Any
) -> None:
    await send(consuming, accept(userId="poison", message_id="bad"), accept(userId="null"))
    await until(lambda: done(consuming))
    shown = await waiting(consuming, 0)
    assert [row.id for row in shown] == [row.id for row in await parked_rows(committed)]
    [bad] = [row for row in shown if row.error == "ValueError('poison')"]
    assert b"poison" in base64.b64decode(bad.body)
    with pytest.raises(ValueError, match="poison"):
        await replay_or_raise(consuming, [bad.id])
    poisoned()
    assert await replay_or_raise(consuming, [bad.id]) == 1
    assert [row.error[:13] for row in await waiting(consuming, 0)] == ["no_identifier"]
    async with committed.read() as session:
        who = await session.execute(text("SELECT DISTINCT principal FROM audit WHERE action = 'parked.replayed'"))
        assert who.scalar_one() == f"{OPERATOR.kind}:{OPERATOR.id}"


async def test_a_replay_of_what_came_again_meanwhile_publishes_nothing(
    poisoned: Callable[[], None], consuming: Runtime, committed: Database, accept: Any
) -> None:
    event = accept(userId="poison")
    await send(consuming, event)
    await until(lambda: done(consuming))
    poisoned()
    await send(consuming, event)
    await until(lambda: done(consuming))
    [row] = await parked_rows(committed)
    assert await replay(consuming, [row.id], STAFF) == ([row.id], {})
    assert len(await published(consuming)) == 1


async def test_an_event_of_nobody_stays_parked(consuming: Runtime, committed: Database, accept: Any) -> None:
    await send(consuming, accept(userId="null"))
    await until(lambda: done(consuming))
    [row] = await parked_rows(committed)
    assert await replay(consuming, [row.id], STAFF) == ([], {row.id: "it still cannot be decided, see its error"})
    assert [left.id for left in await parked_rows(committed)] == [row.id]


async def test_what_cannot_be_decoded_is_parked_and_its_neighbours_go_on(
    consuming: Runtime, committed: Database, accept: Any
) -> None:
    await consuming.js.publish(SUBJECT, b"not json")
    await send(consuming, accept(userId="u"))
    await until(lambda: done(consuming))
    assert len(await published(consuming)) == 1
    [row] = await parked_rows(committed)
    assert "DecodeError" in row.error


async def test_parked_events_are_listed_and_replayed_over_http(
    poisoned: Callable[[], None],
    consuming: Runtime,
    accept: Any,
    service: Service,
    settings: CommonSettings,
    token: Any,
) -> None:
    await send(consuming, accept(userId="poison", message_id="bad"), accept(userId="null"))
    await until(lambda: done(consuming))
    app = create_app(service, settings, no_lifespan)
    app.state.runtime = consuming
    headers = {"Authorization": f"Bearer {token('identities:*')}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://service", headers=headers
    ) as client:
        items = (await client.get("/v1/identity/parked")).json()["items"]
        by_error = {item["error"][:13]: item["id"] for item in items}
        bad, nobody = by_error["ValueError('p"], by_error["no_identifier"]
        poisoned()
        answer = await client.post("/v1/identity/parked/replay", json={"ids": [bad, nobody, 10**6]})
        assert (answer.status_code, answer.json()["replayed"]) == (200, [bad])
        assert [failure["id"] for failure in answer.json()["failed"]] == [nobody]
        assert [item["id"] for item in (await client.get("/v1/identity/parked")).json()["items"]] == [nobody]
    assert [event.message_id for event in await published(consuming)] == ["bad"]
