"""Types, calendars, agents and rules over HTTP; and bad input, which is told where it is bad."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from perennial.common.db import migrations
from perennial.common.web.cursors import encode_cursor

TICKET = {"type": "refund", "subject": "Broken", "description": "It broke."}
STAGES: list[dict[str, Any]] = [
    {"key": "new", "label": "New", "state": "open", "next": ["done"]},
    {"key": "done", "label": "Done", "state": "closed"},
]
TYPE = {"key": "visit", "label": "Visit", "stages": STAGES}
FORM: list[dict[str, Any]] = [
    {"name": "floor", "label": "Floor", "type": "integer", "required": True},
    {"name": "price", "label": "Price", "type": "decimal"},
    {"name": "day", "label": "Day", "type": "date"},
    {"name": "lift", "label": "Lift", "type": "boolean"},
    {"name": "door", "label": "Door", "type": "choice", "choices": ["left", "right"]},
]
CALENDAR = {
    "key": "office",
    "label": "Office",
    "zone": "Europe/Berlin",
    "week": {"mon": [{"from": "09:00", "to": "17:00"}]},
}
AGENT = {"id": "anna", "name": "Anna"}
RULE = {"name": "all", "rule": {"everyone": True}}
SHIFT = {"from": "09:00", "to": "17:00"}


@pytest.mark.parametrize(
    ("path", "good", "changes", "pointer"),
    [
        ("tickets", TICKET, {"type": "nothing"}, "/type"),
        ("tickets", TICKET, {"type": 7}, "/type"),
        ("tickets", TICKET, {"subject": ""}, "/subject"),
        ("tickets", TICKET, {"subject": "x" * 301}, "/subject"),
        ("tickets", TICKET, {"subject": "a\0b"}, "/subject"),
        ("tickets", TICKET, {"description": None}, "/description"),
        ("tickets", TICKET, {"priority": "at once"}, "/priority"),
        ("tickets", TICKET, {"customer_id": "me"}, "/customer_id"),
        ("tickets", TICKET, {"fields": {"reason": "bored"}}, "/fields/reason"),
        ("tickets", TICKET, {"fields": {"amount": "a lot"}}, "/fields/amount"),
        ("tickets", TICKET, {"fields": {"order_id": 7}}, "/fields/order_id"),
        ("tickets", TICKET, {"fields": {"order_id": "a\0b"}}, "/fields/order_id"),
        ("tickets", TICKET, {"fields": {"colour": "red"}}, "/fields/colour"),
        ("tickets", TICKET, {"fields": []}, "/fields"),
        ("tickets", TICKET, {"stage": "closed"}, "/stage"),
        ("ticket-types", TYPE, {"key": "Not a key"}, "/key"),
        ("ticket-types", TYPE, {"stages": STAGES[:1]}, "/stages"),
        ("ticket-types", TYPE, {"stages": [STAGES[0], STAGES[0]]}, "/stages"),
        ("ticket-types", TYPE, {"stages": [{**STAGES[0], "next": ["nowhere"]}, STAGES[1]]}, "/stages"),
        ("ticket-types", TYPE, {"stages": [{**STAGES[0], "state": "odd"}, STAGES[1]]}, "/stages/0/state"),
        ("ticket-types", TYPE, {"assigned_stage": "done"}, "/assigned_stage"),
        ("ticket-types", TYPE, {"fields": [{**FORM[4], "choices": []}]}, "/fields"),
        ("ticket-types", TYPE, {"fields": [FORM[0], FORM[0]]}, "/fields"),
        ("ticket-types", TYPE, {"sla": {"normal": {"resolution": 0}}}, "/sla/normal/resolution"),
        ("ticket-types", TYPE, {"calendar": "unheard_of"}, "/calendar"),
        ("calendars", CALENDAR, {"zone": "Mars/Olympus"}, "/zone"),
        ("calendars", CALENDAR, {"week": {}}, "/week"),
        ("calendars", CALENDAR, {"week": {"mon": [{"from": "17:00", "to": "09:00"}]}}, "/week/mon/0"),
        ("calendars", CALENDAR, {"week": {"mon": [SHIFT, {"from": "16:00", "to": "18:00"}]}}, "/week"),
        ("calendars", CALENDAR, {"holidays": ["2026-02-30"]}, "/holidays/0"),
        ("agents", AGENT, {"capacity": -1}, "/capacity"),
        ("agents", AGENT, {"id": "an na"}, "/id"),
        ("agents", AGENT, {"skills": ["Ümlaut"]}, "/skills/0"),
        ("dispatch-rules", RULE, {"rule": {"all": [{"trait": "type", "looks": "odd"}]}}, "/rule/all/0/looks"),
        ("dispatch-rules", RULE, {"rule": {}}, "/rule"),
        ("dispatch-rules", RULE, {"name": " "}, "/name"),
    ],
)
async def test_bad_input_names_the_field(
    desk: Any, path: str, good: dict[str, Any], changes: dict[str, Any], pointer: str
) -> None:
    customer = {"customer_id": str(await desk.customer())} if path == "tickets" else {}
    refused = await desk.post(f"/v1/{path}", {**customer, **good, **changes})
    assert refused.status_code == 422, refused.text
    assert pointer in [error["pointer"] for error in refused.json()["errors"]]
    assert (await desk.post(f"/v1/{path}", {**customer, **good})).status_code == 201


@pytest.mark.parametrize(
    ("verb", "body", "pointer"),
    [
        ("transition", {"to": "nowhere"}, "/to"),
        ("transition", {}, "/to"),
        ("close", {"resolution": ""}, "/resolution"),
        ("close", {}, "/resolution"),
        ("rating", {"score": 6}, "/score"),
        ("rating", {"score": "5"}, "/score"),
        ("rating", {"score": True}, "/score"),
        ("comments", {"text": ""}, "/text"),
        ("assign", {}, "/assignee"),
        ("assign", {"assignee": "nobody"}, "/assignee"),
    ],
)
async def test_bad_verbs_name_the_field(desk: Any, verb: str, body: dict[str, Any], pointer: str) -> None:
    refused = await desk.act(await desk.ticket(), verb, 422, **body)
    assert refused["errors"][0]["pointer"] == pointer


async def test_what_is_not_there_is_not_found(desk: Any) -> None:
    nobody = await desk.post("/v1/tickets", {**TICKET, "customer_id": str(uuid4())})
    assert (nobody.status_code, nobody.json()["errors"][0]["pointer"]) == (404, "/customer_id")
    nothing = f"/v1/tickets/{uuid4()}"
    for path in (nothing, f"{nothing}/events", "/v1/agents/nobody", "/v1/calendars/none", "/v1/ticket-types/none"):
        assert (await desk.get(path)).status_code == 404, path
    for verb, body in (("transition", {"to": "closed"}), ("close", {"resolution": "x"}), ("rating", {"score": 1})):
        assert (await desk.post(f"{nothing}/{verb}", body)).status_code == 404, verb
    for query in ("cursor=nonsense", "cursor=WzFd", "limit=0", "open=perhaps", "customer_id=me", "stage=%00"):
        refused = await desk.get(f"/v1/tickets?{query}")
        assert (refused.status_code in {400, 422}, query.split("=")[0] in refused.text) == (True, True), query


async def test_a_form_is_checked_as_a_whole(desk: Any) -> None:
    assert (await desk.post("/v1/ticket-types", {**TYPE, "fields": FORM})).status_code == 201
    bad = {"price": "x", "day": "31.12.", "lift": "yes", "door": "back"}
    body = {**TICKET, "type": "visit", "customer_id": str(await desk.customer())}
    refused = await desk.post("/v1/tickets", {**body, "fields": bad})
    assert {error["pointer"] for error in refused.json()["errors"]} == {
        f"/fields/{name}" for name in ("floor", "price", "day", "lift", "door")
    }
    good = {"floor": 3, "price": 19.9, "day": "2026-12-31", "lift": False, "door": "left"}
    made = await desk.post("/v1/tickets", {**body, "fields": good})
    assert made.json()["fields"] == {**good, "price": "19.9"}


@pytest.mark.parametrize(
    ("path", "body", "key"), [("ticket-types", TYPE, "key"), ("calendars", CALENDAR, "key"), ("agents", AGENT, "id")]
)
async def test_a_name_is_given_once(desk: Any, path: str, body: dict[str, Any], key: str) -> None:
    assert (await desk.post(f"/v1/{path}", body)).status_code == 201
    again = await desk.post(f"/v1/{path}", body)
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (409, f"/{key}")
    listed = (await desk.get(f"/v1/{path}?limit=200")).json()["items"]
    assert body[key] in [item[key] for item in listed]


@pytest.mark.parametrize(("path", "body"), [("ticket-types", TYPE), ("calendars", CALENDAR)])
async def test_a_change_must_have_seen_the_last_one(desk: Any, path: str, body: dict[str, Any]) -> None:
    made = await desk.post(f"/v1/{path}", body)
    url, changed = f"/v1/{path}/{body['key']}", {**body, "label": "Other"}
    changed.pop("key")
    assert (await desk.client.put(url, json=changed)).status_code == 428
    seen = {"If-Match": made.headers["etag"]}
    put = await desk.client.put(url, json=changed, headers=seen)
    assert (put.json()["label"], put.json()["version"]) == ("Other", 2)
    assert (await desk.client.put(url, json=changed, headers=seen)).status_code == 412
    assert (await desk.get(url)).json() == put.json()


@pytest.mark.parametrize(("path", "body"), [("ticket-types", TYPE), ("calendars", CALENDAR)])
async def test_a_put_that_may_not_replace_creates(desk: Any, path: str, body: dict[str, Any]) -> None:
    url = f"/v1/{path}/{body['key']}"
    whole = {name: value for name, value in body.items() if name != "key"}
    assert (await desk.client.put(url, json=whole, headers={"If-Match": "*"})).status_code == 404
    made = await desk.client.put(url, json=whole, headers={"If-None-Match": "*"})
    assert (made.status_code, made.headers["location"], made.headers["etag"]) == (201, url, '"1"')
    assert (await desk.client.put(url, json=whole, headers={"If-None-Match": "*"})).status_code == 412
    same = await desk.client.get(url, headers={"If-None-Match": made.headers["etag"]})
    assert same.status_code == 304


async def test_agents_change(desk: Any) -> None:
    await desk.agent("anna", team="east", skills=["chat"])
    url = "/v1/agents/anna"
    assert (await desk.client.patch(url, json={"capacity": 2})).status_code == 428
    seen = {"If-Match": (await desk.get(url)).headers["etag"]}
    changed = (await desk.client.patch(url, json={"capacity": 2, "team": None}, headers=seen)).json()
    assert (changed["capacity"], changed["team"], changed["skills"], changed["version"]) == (2, None, ["chat"], 2)
    assert (await desk.client.patch(url, json={}, headers=seen)).status_code == 412
    await desk.ticket()
    assert (await desk.get(url)).json()["open"] == 1


async def test_rules_are_asked_in_order_changed_and_forgotten(desk: Any) -> None:
    made = [await desk.rule(name, {"everyone": True}) for name in ("one", "two")]
    first = await desk.rule("zero", {"everyone": True}, position=0)
    page = (await desk.get("/v1/dispatch-rules?limit=2")).json()
    rest = (await desk.get(f"/v1/dispatch-rules?cursor={page['next_cursor']}")).json()
    assert [item["name"] for item in page["items"] + rest["items"]] == ["zero", "one", "two"]
    url = f"/v1/dispatch-rules/{made[1]['id']}"
    seen = {"If-Match": (await desk.get(url)).headers["etag"]}
    put = await desk.client.put(url, json={"name": "new", "rule": {"everyone": True}, "position": 1}, headers=seen)
    assert (put.json()["name"], put.json()["position"], put.json()["version"]) == ("new", 1, 2)
    assert (await desk.client.delete(f"/v1/dispatch-rules/{first['id']}")).status_code == 204
    names = [item["name"] for item in (await desk.get("/v1/dispatch-rules")).json()["items"]]
    assert names == ["new", "one"]
    assert (await desk.client.delete(f"/v1/dispatch-rules/{first['id']}")).status_code == 404


@pytest.mark.parametrize(
    "key",
    [
        [float("inf"), "x"],
        [float("inf"), str(uuid4())],
        [10**30, str(uuid4())],
        [2**31, str(uuid4())],
        [-(10**30), str(uuid4())],
        [1.5, str(uuid4())],
        [1],
    ],
)
async def test_a_cursor_beyond_all_bounds_is_no_cursor(desk: Any, key: list[Any]) -> None:
    answer = await desk.get(f"/v1/dispatch-rules?cursor={encode_cursor(key)}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


async def test_scopes(desk: Any, token: Any) -> None:
    few = {"Authorization": f"Bearer {token('tickets:read')}", "Idempotency-Key": "k"}
    assert (await desk.client.get("/v1/tickets", headers=few)).status_code == 200
    for path in ("tickets", "agents", "calendars", "ticket-types", "dispatch-rules"):
        assert (await desk.client.post(f"/v1/{path}", json={}, headers=few)).status_code == 403, path


async def test_history_is_only_ever_added_to(desk: Any, session: Any) -> None:
    await desk.ticket()
    for statement in ("UPDATE ticket_event SET kind = ''", "DELETE FROM ticket_event", "DELETE FROM ticket_type"):
        with pytest.raises(Exception, match="permission denied"):
            async with session.begin_nested():
                await session.execute(text(statement))


async def test_the_models_are_what_the_migrations_make(database_urls: Any, service: Any) -> None:
    await asyncio.to_thread(migrations.check, service.migrations, database_urls.owner)
