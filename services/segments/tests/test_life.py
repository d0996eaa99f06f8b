"""The life of a segment: drafts, versions, builds that fail, what serves meanwhile."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.operations import worker as operations
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.segments import jobs
from perennial.segments.definitions import previews
from perennial.segments.memberships import queries as memberships
from perennial.segments.memberships import reconcile, service

Settle = Callable[[], Awaitable[None]]
Hear = Callable[..., Awaitable[None]]
ONCE = {"event": "Order Completed"}
TWICE = {"event": "Order Completed", "count": {"gte": 2}}
ANY = {"If-Match": "*"}


def order(via: UUID | None = None) -> Any:
    return tracked("Order Completed", {"order_id": uuid4().hex, "revenue": 1}, via=via)


async def define(client: httpx.AsyncClient, name: str = "buyers", **body: Any) -> dict[str, Any]:
    made = await client.post("/v1/segments", json={"name": name, **body})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def shown(client: httpx.AsyncClient, segment: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/v1/segments/{segment['id']}")).json()
    return found


async def members(client: httpx.AsyncClient, segment: dict[str, Any]) -> set[str]:
    listed = (await client.get(f"/v1/segments/{segment['id']}/members")).json()["items"]
    return {item["customer_id"] for item in listed}


async def test_a_draft_serves_nobody_until_it_is_published(
    client: httpx.AsyncClient, hear: Hear, settle: Settle
) -> None:
    who = order()
    await hear(who)
    draft = await define(client, rule=ONCE, draft=True)
    await settle()
    assert (draft["state"], draft["as_of"], draft["operation_id"]) == ("draft", None, None)
    assert await members(client, draft) == set()
    path = f"/v1/segments/{draft['id']}"
    changed = await client.patch(path, json={"rule": TWICE}, headers=ANY)
    assert (changed.json()["state"], changed.json()["version"]) == ("draft", 2)
    published = await client.post(f"{path}/publish", headers={"If-Match": '"2"'})
    assert (published.json()["state"], published.json()["serving_version"]) == ("building", None)
    await settle()
    await hear(order(who.via))
    assert await members(client, draft) == {str(who.via)}
    again = await client.post(f"{path}/publish", headers=ANY)
    assert (again.status_code, again.json()["code"]) == (409, "not_a_draft")


async def test_the_version_before_is_kept_up_while_the_new_one_is_built_or_fails(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = order(), order()
    segment = await define(client, rule=TWICE)
    await settle()
    await hear(one, order(one.via), other)
    await client.patch(f"/v1/segments/{segment['id']}", json={"rule": {"event": "Joined"}}, headers=ANY)
    await hear(order(other.via))
    assert await members(client, segment) == {str(one.via), str(other.via)}, "the old rule lets somebody in"

    async def slow(session: Any, *_: Any) -> int:
        await session.execute(text("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(9)"))
        return 0

    monkeypatch.setattr(memberships, "stage", slow)
    await settle()
    failed = await shown(client, segment)
    assert (failed["state"], failed["version"], failed["serving_version"]) == ("failed", 2, 1)
    assert "longer than" in failed["error"]
    operation = await client.get(f"/v1/operations/segments/{failed['operation_id']}")
    assert (operation.json()["state"], operation.json()["error"]["code"]) == ("failed", "segment_failed")
    monkeypatch.undo()
    third = order()
    await hear(third, order(third.via))
    assert str(third.via) in await members(client, segment), "and goes on when the new one has failed"
    await client.post(f"/v1/segments/{segment['id']}/publish", headers=ANY)
    await settle()
    assert await members(client, segment) == set()
    assert (await shown(client, segment))["state"] == "live"


async def test_a_slow_rule_lets_the_others_pass(
    client: httpx.AsyncClient, settle: Settle, runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = await define(client, "slow", rule=ONCE)
    quick = await define(client, "quick", rule=TWICE)
    real = memberships.stage

    async def staged(session: Any, operation: UUID, segment_id: UUID, held: Any) -> int:
        if str(segment_id) == slow["id"]:
            await session.execute(text("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(9)"))
        return await real(session, operation, segment_id, held)

    monkeypatch.setattr(memberships, "stage", staged)
    assert await operations.step_once(runtime)
    assert (await shown(client, slow))["state"] == "building"
    monkeypatch.setattr(memberships, "stage", real)
    while (await shown(client, quick))["state"] == "building":
        assert await operations.step_once(runtime)
        assert (await shown(client, slow))["state"] == "building"
    await settle()
    assert (await shown(client, slow))["state"] == "live"


async def test_versions_say_who_made_them_and_can_come_back(client: httpx.AsyncClient, settle: Settle) -> None:
    segment = await define(client, rule=ONCE)
    path = f"/v1/segments/{segment['id']}"
    await client.patch(path, json={"rule": TWICE, "name": "twice"}, headers=ANY)
    restored = await client.post(f"{path}/versions/1/restore", headers={"If-Match": '"2"'})
    assert (restored.json()["rule"], restored.json()["version"], restored.json()["name"]) == (ONCE, 3, "twice")
    await settle()
    versions = (await client.get(f"{path}/versions", params={"limit": 2})).json()
    assert [(item["version"], item["restored"], item["name"]) for item in versions["items"]] == [
        (3, 1, "twice"),
        (2, None, "twice"),
    ]
    assert all(item["by"] and item["at"] and "Order Completed" in item["sentence"] for item in versions["items"])
    rest = (await client.get(f"{path}/versions", params={"cursor": versions["next_cursor"]})).json()["items"]
    assert [(item["version"], item["rule"]) for item in rest] == [(1, ONCE)]
    nothing = await client.post(f"{path}/versions/9/restore", headers=ANY)
    assert (nothing.status_code, nothing.json()["errors"][0]["pointer"]) == (404, "path/version")


async def test_a_name_alone_builds_nothing(client: httpx.AsyncClient, settle: Settle) -> None:
    segment = await define(client, rule=ONCE)
    renamed = await client.patch(f"/v1/segments/{segment['id']}", json={"name": "later"}, headers=ANY)
    assert renamed.json()["operation_id"] == segment["operation_id"]
    await settle()
    built = await shown(client, segment)
    assert (built["state"], built["serving_version"], built["name"]) == ("live", 2, "later")
    again = await client.patch(f"/v1/segments/{segment['id']}", json={"name": "at last"}, headers=ANY)
    assert (again.json()["state"], again.json()["serving_version"]) == ("live", 3)


async def test_what_was_replaced_while_it_was_built_is_built_no_further(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime
) -> None:
    await hear(order())
    segment = await define(client, rule=ONCE)
    assert await operations.step_once(runtime)  # staged
    await client.patch(f"/v1/segments/{segment['id']}", json={"rule": {"event": "Joined"}}, headers=ANY)
    await settle()
    assert await members(client, segment) == set()
    operation = (await client.get(f"/v1/operations/segments/{segment['operation_id']}")).json()
    assert operation["result"] == {"outcome": "superseded"}
    async with runtime.database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM staged_member"))).scalar_one() == 0


async def test_a_cancelled_build_is_no_endless_one(
    client: httpx.AsyncClient, runtime: ServiceRuntime, settle: Settle
) -> None:
    segment = await define(client, rule=ONCE)
    await client.post(f"/v1/operations/segments/{segment['operation_id']}/cancel")
    await settle()
    async with runtime.database.write() as session:
        await reconcile.attend(session)
    assert ((found := await shown(client, segment))["state"], found["error"]) == (
        "failed",
        "its backfill has cancelled",
    )
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE segment SET state = 'building', operation_id = NULL"))
        await reconcile.attend(session)
    await settle()
    assert (await shown(client, segment))["state"] == "live"


async def test_a_build_that_is_cancelled_after_it_took_its_place_still_says_what_it_changed(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime
) -> None:
    """Else every copy of the memberships would lack them for ever."""
    await hear(order(), order())
    segment = await define(client, rule=ONCE)
    for _ in range(2):
        assert await operations.step_once(runtime)  # staged, then switched
    await client.post(f"/v1/operations/segments/{segment['operation_id']}/cancel")
    await settle()
    said = text("SELECT count(*) FROM outbox WHERE subject = 'segments.memberships.changed.v1'")
    async with runtime.database.read() as session:
        assert (await session.execute(said)).scalar_one() == 0
    for _ in range(2):
        await jobs.attend(runtime)
    async with runtime.database.read() as session:
        assert (await session.execute(said)).scalar_one() == 1
        assert (await session.execute(text("SELECT count(*) FROM staged_member"))).scalar_one() == 0
    assert (await shown(client, segment))["state"] == "live"


async def test_what_a_version_before_this_one_changed_is_built_again(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime
) -> None:
    """It runs beside this one during an upgrade, and knows the rule, the state and the version alone."""
    who = order()
    await hear(who)
    segment = await define(client, rule=TWICE)
    await settle()
    async with runtime.database.write() as session:
        await session.execute(
            text("UPDATE segment SET version = version + 1, rule = CAST(:rule AS jsonb)"), {"rule": json.dumps(ONCE)}
        )
    await jobs.attend(runtime)
    await settle()
    found = await shown(client, segment)
    assert (found["state"], found["version"], found["serving_version"]) == ("live", 2, 2)
    assert await members(client, segment) == {str(who.via)}
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE segment SET version = version + 1, state = 'building'"))
    await jobs.attend(runtime)
    await settle()
    assert (await shown(client, segment))["serving_version"] == 3


async def test_everybody_leaves_an_archived_segment_however_many(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = order()
    await hear(who, *(order() for _ in range(4)))
    segment = await define(client, rule=ONCE)
    await settle()
    monkeypatch.setattr(service, "AT_ONCE", 2)
    await client.delete(f"/v1/segments/{segment['id']}", headers=ANY)
    assert (await shown(client, segment))["size"] == 3
    assert (await client.get(f"/v1/customers/{who.via}/segments")).json()["items"] == []
    await jobs.attend(runtime)
    assert (await shown(client, segment))["size"] == 0


async def test_what_serves_counts_for_cycles_as_well(client: httpx.AsyncClient, settle: Settle, hear: Hear) -> None:
    b = await define(client, "b", rule=ONCE)
    a = await define(client, "a", rule={"segment": b["id"]})
    await settle()
    await client.patch(f"/v1/segments/{a['id']}", json={"rule": TWICE}, headers=ANY)
    early = await client.patch(f"/v1/segments/{b['id']}", json={"rule": {"segment": a["id"]}}, headers=ANY)
    assert (early.status_code, early.json()["code"]) == (422, "segment_cycle"), "a still serves by its first rule"
    await settle()
    late = await client.patch(f"/v1/segments/{b['id']}", json={"rule": {"segment": a["id"]}}, headers=ANY)
    assert late.status_code == 200
    await settle()
    await hear(order())
    asked = (await client.get(f"/v1/segments/{b['id']}/dependencies")).json()
    assert ([item["name"] for item in asked["segments"]], asked["used_by"]) == (["a"], [])
    used = (await client.get(f"/v1/segments/{a['id']}/dependencies")).json()
    assert ([item["name"] for item in used["used_by"]], used["events"]) == (["b"], ["Order Completed"])


async def test_a_preview_shows_where_they_are_already(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = order(), order()
    twice = await define(client, "twice", rule=TWICE)
    await settle()
    await hear(one, order(one.via), other)
    rule = {"all": [ONCE, {"not": {"event": "Refunded Twice"}}]}
    tried = (await client.post("/v1/segments/preview", json={"rule": rule})).json()
    assert (tried["count"], set(tried["sample"])) == (2, {str(one.via), str(other.via)})
    assert [(leaf["pointer"], leaf["count"]) for leaf in tried["leaves"]] == [("/all/0", 2), ("/all/1/not", 0)]
    assert tried["overlaps"] == [
        {"segment_id": twice["id"], "name": "twice", "count": 1, "margin": 0, "size": 1, "size_margin": 0}
    ]
    assert tried["unheard"] == ["Refunded Twice"]
    assert (tried["estimated"], tried["exact"], tried["margin"]) == (False, True, 0)
    monkeypatch.setattr(previews, "PART", 1)
    tried = (await client.post("/v1/segments/preview", json={"rule": rule})).json()
    assert (tried["estimated"], [item["count"] for item in tried["overlaps"]] in ([], [2])) == (True, True)
    unknown = await client.post("/v1/segments/preview", json={"rule": {"not": {"segment": str(uuid4())}}})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_segment")
    nobody = (await client.post("/v1/segments/preview", json={"rule": {"event": "Never"}})).json()
    assert (nobody["count"], nobody["sample"], nobody["overlaps"]) == (0, [], [])


async def test_the_leaves_of_a_preview_leave_the_rest_its_time(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time-out of the last leaf must not be that of what comes after it."""
    real, times = previews._leaves, []

    async def counted(session: Any, *args: Any) -> Any:
        found = await real(session, *args)
        times.append((await session.execute(text("SHOW statement_timeout"))).scalar_one())
        return found

    monkeypatch.setattr(previews, "_leaves", counted)
    rule = {"all": [ONCE, {"not": {"event": "Refunded Twice"}}]}
    assert (await client.post("/v1/segments/preview", json={"rule": rule})).status_code == 200
    assert times == [f"{previews.PREVIEW_SECONDS}s"]


async def test_who_was_in_on_a_date(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: ServiceRuntime
) -> None:
    who = order()
    segment = await define(client, rule={"event": "Order Completed", "count": {"eq": 1}})
    await settle()
    await hear(who)
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE membership_change SET at = at - interval '2 days'"))
    await hear(order(who.via))
    path, now = f"/v1/segments/{segment['id']}/members", datetime.now(UTC)
    for days, expected in ((3, []), (1, [str(who.via)])):
        listed = (await client.get(path, params={"at": (now - timedelta(days=days)).isoformat()})).json()
        assert [item["customer_id"] for item in listed["items"]] == expected
    listed = (await client.get(path)).json()
    assert (listed["items"], listed["as_of"] is not None) == ([], True)
    future = await client.get(path, params={"at": (now + timedelta(days=1)).isoformat()})
    assert (future.status_code, future.json()["errors"][0]["pointer"]) == (422, "query/at")
    history = (await client.get(f"/v1/customers/{who.via}/segments/history", params={"limit": 1})).json()
    assert [item["entered"] for item in history["items"]] == [False]
    more = {"cursor": history["next_cursor"]}
    history = (await client.get(f"/v1/customers/{who.via}/segments/history", params=more)).json()
    assert [(item["entered"], item["segment_id"]) for item in history["items"]] == [(True, segment["id"])]


async def test_the_segments_of_a_customer(client: httpx.AsyncClient, hear: Hear, settle: Settle) -> None:
    who = order()
    segment = await define(client, rule=ONCE)
    await settle()
    await hear(who)
    found = (await client.get(f"/v1/customers/{who.via}/segments")).json()
    assert [(item["segment_id"], item["name"]) for item in found["items"]] == [(segment["id"], "buyers")]
    assert (found["customer_id"], found["as_of"] is not None) == (str(who.via), True)
    assert (await client.get(f"/v1/customers/{uuid4()}/segments")).status_code == 404
