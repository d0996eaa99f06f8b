"""Replays of what was too old, and of everything at once."""

from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy import text

from perennial.common import streams
from perennial.common.operations import worker as operations
from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.main import SERVICE
from perennial.gateway.testing import Send, Stored, track
from perennial.gateway.violations.service import AT_ONCE

PATH = "/v1/sources/development/violations"
WISH = {"Prefer": "respond-async"}


async def finish(runtime: ServiceRuntime) -> None:
    while await operations.step_once(runtime):
        pass


async def test_what_is_too_old_is_replayed_as_an_import(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    old = (datetime.now(UTC) - timedelta(days=35, seconds=5)).isoformat()
    young = (datetime.now(UTC) - timedelta(days=35) + timedelta(seconds=60)).isoformat()
    answer = await send([track(messageId="old", timestamp=old), track(messageId="young", timestamp=young)])
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert [(item["messageId"], item["code"]) for item in answer.json()["rejected"]] == [("old", "too_old")]
    assert [event.message_id for event in await stored()] == ["young"]
    assert (await admin.post(f"{PATH}/replay", json={"code": "too_old"})).json()["rejected"][0]["code"] == "too_old"
    asked = {"code": "too_old", "as_import": True}
    assert (await admin.post(f"{PATH}/replay", json=asked)).json()["replayed"] == 1
    _, replayed = await stored()
    assert (replayed.message_id, replayed.imported, replayed.live) == ("old", True, False)
    source = (await admin.get("/v1/sources")).json()["items"][0]
    await admin.patch(f"/v1/sources/{source['id']}", json={"may_import": False}, headers={"If-Match": "*"})
    refused = await admin.post(f"{PATH}/replay", json=asked)
    assert (refused.status_code, refused.json()["code"]) == (403, "import_not_allowed")


async def test_an_import_may_be_old(send: Send, stored: Stored) -> None:
    old = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    answer = await send([track(timestamp=old)], envelope={"context": {"import": True}})
    assert answer.json()["accepted"] == 1
    assert [event.imported for event in await stored()] == [True]


async def test_who_would_rather_not_wait_has_everything_replayed_as_an_operation(
    admin: httpx.AsyncClient, send: Send, stored: Stored, live_runtime: ServiceRuntime, edge: Edge
) -> None:
    broken = [{"type": "track", "event": "E", "messageId": f"m{n}"} for n in range(250)]
    await send([*broken, {"type": "track", "event": "E", "messageId": 7.5}])
    await edge.intake.violations.flush()
    asked = {"since": "2020-01-01T00:00:00Z", "patch": {"userId": "u"}}
    started = await admin.post(f"{PATH}/replay", json=asked, headers=WISH)
    assert (started.status_code, started.headers["preference-applied"]) == (202, "respond-async")
    where = started.headers["location"]
    assert (started.json()["total"], where) == (251, f"/v1/operations/gateway/{started.json()['id']}")
    await send([{"type": "track", "event": "E", "messageId": "later"}])
    await operations.step_once(live_runtime)
    assert (await admin.get(where)).json()["done"] == AT_ONCE
    await finish(live_runtime)
    shown = (await admin.get(where)).json()
    assert (shown["state"], shown["result"]) == ("succeeded", {"replayed": 250, "rejected": {"invalid_message_id": 1}})
    assert len({event.message_id for event in await stored()}) == 250
    left = (await admin.get(PATH, params={"replayed": "false"})).json()["items"]
    assert [item["message_id"] for item in left] == ["later", None]


async def test_a_trial_and_a_list_of_ids_are_answered_at_once(admin: httpx.AsyncClient, send: Send) -> None:
    await send([track(userId=None)])
    only = (await admin.get(PATH)).json()["items"][0]["id"]
    for body in ({"ids": [only]}, {"code": "no_user_anon_id", "dry_run": True}):
        answer = await admin.post(f"{PATH}/replay", json=body, headers=WISH)
        assert (answer.status_code, "preference-applied" in answer.headers) == (200, False)


async def test_a_replay_waits_for_the_broker_and_doubles_no_mark(
    admin: httpx.AsyncClient, send: Send, stored: Stored, live_runtime: ServiceRuntime
) -> None:
    await send([track(userId=None)])
    asked = {"code": "no_user_anon_id", "patch": {"userId": "u"}}
    where = (await admin.post(f"{PATH}/replay", json=asked, headers=WISH)).headers["location"]
    await live_runtime.js.delete_stream("INGEST")
    await operations.step_once(live_runtime)
    shown = (await admin.get(where)).json()
    assert (shown["state"], shown["done"]) == ("running", 0)
    await streams.apply(live_runtime.js, streams.plan([SERVICE]))
    async with live_runtime.database.write() as session:
        await session.execute(text("UPDATE operation SET next_at = now()"))
    await finish(live_runtime)
    assert (await admin.get(where)).json()["result"] == {"replayed": 1, "rejected": {}}
    assert len(await stored()) == 1
