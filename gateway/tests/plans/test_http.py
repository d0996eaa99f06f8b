"""Tracking plans over HTTP, and what they do to events."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.runtime import Runtime
from perennial.common.web.cursors import encode_cursor
from perennial.gateway.edge import Edge
from perennial.gateway.testing import Send, Stored, track

PATH = "/v1/sources/development/tracking-plan"
VIOLATIONS = "/v1/sources/development/violations"
NEW = {"If-None-Match": "*"}
ORDER = {"properties": {"total": {"type": "number"}}, "required": ["total"]}


async def put(admin: httpx.AsyncClient, seen: str | None = None, **plan: Any) -> httpx.Response:
    body = {"events": {"Order Completed": {"schema": ORDER}}, **plan}
    return await admin.put(PATH, json=body, headers={"If-Match": seen} if seen else NEW)


def order(properties: Any, **changes: Any) -> dict[str, Any]:
    return track(event="Order Completed", properties=properties, **changes)


async def test_a_plan_has_versions(admin: httpx.AsyncClient) -> None:
    assert (await admin.get(PATH)).json()["code"] == "no_plan"
    assert (await put(admin, '"1"')).status_code == 412
    assert (await put(admin, "*")).status_code == 412
    first = await put(admin)
    assert (first.status_code, first.headers["etag"], first.json()["version"]) == (200, '"1"', 1)
    assert first.json()["plan"] == {"events": {"Order Completed": {"schema": ORDER}}}
    assert first.json()["created_by"].startswith("api_key:")
    assert (await admin.put(PATH, json={})).status_code == 428
    assert (await put(admin, '"7"')).status_code == 412
    assert (await admin.put(PATH, json={}, headers=NEW)).status_code == 412
    second = await put(admin, '"1"', invalid="omit")
    assert second.json()["version"] == 2
    assert (await admin.get(PATH)).json() == second.json()
    assert (await admin.get("/v1/sources/development")).json()["tracking_plan"] == 2
    assert (await admin.get(f"{PATH}/versions/1")).json() == first.json()
    listed = (await admin.get(f"{PATH}/versions", params={"limit": 1})).json()
    assert [item["version"] for item in listed["items"]] == [2]
    rest = (await admin.get(f"{PATH}/versions", params={"cursor": listed["next_cursor"]})).json()
    assert [item["version"] for item in rest["items"]] == [1]
    beyond = await admin.get(f"{PATH}/versions", params={"cursor": encode_cursor([2**31])})
    assert (beyond.status_code, beyond.json()["code"]) == (400, "bad_cursor")


async def test_a_withdrawn_plan_is_history(
    admin: httpx.AsyncClient, send: Send, live_runtime: Runtime, edge: Edge
) -> None:
    await put(admin, invalid="quarantine")
    assert (await send([order({})])).json()["accepted"] == 0
    assert (await admin.delete(PATH)).status_code == 428
    assert (await admin.delete(PATH, headers={"If-Match": '"9"'})).status_code == 412
    assert (await admin.delete(PATH, headers={"If-Match": '"1"'})).status_code == 204
    assert (await admin.delete(PATH, headers={"If-Match": '"1"'})).status_code == 404
    assert edge.access.plans == {}
    assert (await send([order({})])).json()["accepted"] == 1
    assert (await admin.get(f"{PATH}/versions/1")).status_code == 200
    assert (await put(admin)).json()["version"] == 2
    async with live_runtime.database.read() as session:
        statement = text("SELECT action FROM audit WHERE action LIKE 'source.plan%' ORDER BY id")
        actions = list((await session.execute(statement)).scalars())
    assert actions == ["source.plan_set", "source.plan_withdrawn", "source.plan_set"]


async def test_quarantine(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    await put(admin, invalid="quarantine")
    answer = await send([order({"total": 1}, messageId="a"), 7, order({"total": "1"}, messageId="b"), track()])
    assert answer.status_code == 200
    assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [
        (1, "not_an_object"), (2, "plan_violation"),
    ]  # fmt: skip
    assert "properties.total" in answer.json()["rejected"][1]["message"]
    assert [event.message_id for event in await stored()] == ["a", "m1"]
    (item,) = (await admin.get(VIOLATIONS, params={"code": "plan_violation"})).json()["items"]
    assert (item["path"], item["outcome"], item["message_id"]) == ("/properties/total", "rejected", "b")
    assert item["name"] == "Order Completed"
    single = await send(content=json.dumps(order({})), path="/v1/track")
    assert (single.status_code, single.json()["code"]) == (400, "plan_violation")


async def test_allow_and_omit_accept_and_note(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    await put(admin)
    assert (await send([order({"total": "1"})])).json() == {"success": True, "accepted": 1, "rejected": []}
    await put(admin, '"1"', invalid="omit", unplanned_properties="omit")
    await send([order({"total": "1", "x": 1, "y": {}})])
    allowed, omitted = await stored()
    assert json.loads(bytes(allowed.body))["properties"] == {"total": "1"}
    assert json.loads(bytes(omitted.body))["properties"] == {}
    items = (await admin.get(VIOLATIONS)).json()["items"]
    assert [(item["outcome"], item["replayable"]) for item in items] == [("omitted", False), ("allowed", False)]
    summary = (await admin.get(f"{VIOLATIONS}/summary")).json()
    assert {(one["outcome"], one["count"]) for one in summary["series"]} == {("omitted", 1), ("allowed", 1)}
    answer = await admin.post(f"{VIOLATIONS}/replay", json={"ids": [items[0]["id"]]})
    assert answer.json()["rejected"][0]["code"] == "not_rejected"


async def test_replays_are_held_against_the_plan_of_today(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    await put(admin, invalid="quarantine")
    await send([order({"total": "1"})])
    body = {"code": "plan_violation"}
    answer = (await admin.post(f"{VIOLATIONS}/replay", json=body)).json()
    assert [one["code"] for one in answer["rejected"]] == ["plan_violation"]
    loose = {"Order Completed": {"schema": {"properties": {"total": {"type": ["string", "number"]}}}}}
    await put(admin, '"1"', events=loose)
    assert (await admin.post(f"{VIOLATIONS}/replay", json=body)).json()["replayed"] == 1
    assert len(await stored()) == 1


async def test_a_dry_run_of_events(admin: httpx.AsyncClient, stored: Stored) -> None:
    events = [order({"total": 1}), order({"total": "1", "x": 2}), order({}), 7, track(event="Odd"), {"a": 10**400}]
    path = f"{PATH}/check"
    assert (await admin.post(path, json={"events": events})).json()["code"] == "no_plan"
    plan = {
        "events": {"Order Completed": {"schema": ORDER}}, "invalid": "omit", "unplanned_properties": "omit",
        "unplanned_events": "quarantine",
    }  # fmt: skip
    tried = (await admin.post(path, json={"events": events, "plan": plan})).json()["results"]
    assert [one["outcome"] for one in tried] == [
        "accepted", "omitted", "allowed", "rejected", "rejected", "rejected",
    ]  # fmt: skip
    assert tried[1]["event"]["properties"] == {}
    assert [one["path"] for one in tried[1]["findings"]] == ["/properties/total", "/properties/x"]
    assert (tried[3]["code"], tried[4]["code"]) == ("not_an_object", "unplanned_event")
    await put(admin)
    in_force = (await admin.post(path, json={"events": events[:2]})).json()["results"]
    assert [one["outcome"] for one in in_force] == ["accepted", "allowed"]
    assert await stored() == []
    assert (await admin.get(VIOLATIONS)).json()["items"] == []


BAD: list[tuple[Any, str]] = [
    ([], "body"),
    ({"events": []}, "events"),
    ({"events": {" ": {"schema": {}}}}, "events"),
    ({"events": {"A": {}}}, "events.A"),
    ({"events": {"A": {"schema": 7}}}, "events/A/schema"),
    ({"events": {"A": {"schema": {}, "invalid": "ignore"}}}, "events/A/invalid"),
    ({"events": {"A": {"schema": {"type": "strin"}}}}, "events.A.schema.type"),
    ({"events": {"A": {"schema": {"$ref": "http://169.254.169.254/"}}}}, "events.A.schema.$ref"),
    ({"events": {"A": {"schema": {"pattern": "("}}}}, "events.A.schema.pattern"),
    ({"events": {"A": {"schema": {"title": "a\0"}}}}, "events"),
    ({"identify": {"schema": {"required": 1}}}, "identify.schema.required"),
    ({"page": {"schema": {}, "more": 1}}, "page/more"),
    ({"invalid": "drop"}, "invalid"),
    ({"unplanned_events": "omit"}, "unplanned_events"),
    ({"unplanned_properties": None}, "unplanned_properties"),
    ({"more": 1}, "more"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_bad_plans_name_the_path(admin: httpx.AsyncClient, body: Any, field: str) -> None:
    answer = await admin.put(PATH, json=body, headers=NEW)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    said = answer.json()
    assert field.replace(".", "/") in said["message"].replace(".", "/") or field in said["message"]
    assert (await admin.get(PATH)).status_code == 404


@pytest.mark.parametrize("depth", [100, 3_000, 12_000])
async def test_a_deep_schema_is_no_surprise(admin: httpx.AsyncClient, depth: int) -> None:
    content = '{"page":{"schema":' + '{"n":' * depth + "1" + "}" * depth + "}}"
    answer = await admin.put(PATH, content=content, headers={"Content-Type": "application/json", **NEW})
    assert answer.status_code in (400, 413, 422)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{PATH}/versions/0", None),
        ("GET", f"{PATH}/versions/99999999999", None),
        ("POST", f"{PATH}/check", {"events": []}),
        ("POST", f"{PATH}/check", {"events": [1] * 101}),
    ],
)
async def test_bad_requests(admin: httpx.AsyncClient, method: str, path: str, body: Any) -> None:
    assert (await admin.request(method, path, json=body)).status_code == 422
    assert (await admin.get(f"{PATH}/versions/5")).status_code == 404


async def test_plans_are_compiled_once_for_each_version(admin: httpx.AsyncClient, edge: Edge) -> None:
    await put(admin)
    first = edge.access.plans["development"]
    await edge.access.refresh()
    assert edge.access.plans["development"] is first
    await put(admin, '"1"')
    assert edge.access.plans["development"] is not first


async def test_a_plan_that_became_unusable_stops_nobody(
    admin: httpx.AsyncClient, send: Send, edge: Edge, live_runtime: Runtime
) -> None:
    await put(admin)
    async with live_runtime.database.write() as session:
        await session.execute(text("""UPDATE tracking_plan SET document = '{"page": {"schema": {"type": 1}}}'"""))
    edge.access.plans = {}
    await edge.access.refresh()
    assert (await send([track()])).status_code == 200


async def test_a_plan_of_a_whole_shop_fits_for_who_may_set_it(
    admin: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    events = {f"Thing {number} Done": {"schema": {"type": "object", "title": "x" * 700}} for number in range(150)}
    answer = await admin.put(PATH, json={"events": events}, headers=NEW)
    assert answer.status_code == 200, answer.text
    assert (await http.put(PATH, json={"events": events}, headers=NEW)).status_code == 413
    assert (await admin.put(PATH, content=b" " * 600_000, headers=NEW)).status_code == 413
