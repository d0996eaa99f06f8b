"""Who reads what of tickets, and who may let rules ask what."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.testing.exposure import exposed, read_all

SECRETS = ("zebulon@secret.example", "13877776666", "neighbour", "Quietstreet", "hunter-two-hunter", "4242-serial")
SAID = "My neighbour says: zebulon@secret.example or 13877776666"
SHOWN = "My neighbour says: z****@secret.example or 138****6666"
EVERYONE = {"everyone": True}
STAGES = [
    {"key": "new", "label": "New", "state": "open", "next": ["done"]},
    {"key": "done", "label": "Done", "state": "closed"},
]
FIELDS = [
    {"name": "street", "label": "Street", "type": "text"},
    {"name": "phone", "label": "Phone", "type": "text"},
    {"name": "passcode", "label": "Passcode", "type": "text", "sensitivity": "sensitive"},
    {"name": "serial", "label": "Serial", "type": "text", "sensitivity": "public"},
    {"name": "year", "label": "Year", "type": "integer"},
]
FILLED = {"street": "Quietstreet 1", "phone": "13877776666", "passcode": "hunter-two-hunter", "serial": "A1", "year": 7}


def as_who(token: Callable[..., str], *fields: str, scopes: str = "*") -> dict[str, str]:
    return {"Authorization": f"Bearer {token(*scopes.split(), fields=fields)}"}


@pytest.fixture
async def ticket(desk: Any) -> dict[str, Any]:
    """A ticket with something to hide in every place where there is room for it."""
    made = await desk.post("/v1/ticket-types", {"key": "repair", "label": "R", "stages": STAGES, "fields": FIELDS})
    assert made.status_code == 201, made.text
    await desk.agent("ann", online=False)
    rule = {"all": [{"trait": "fields.phone", "starts_with": "1387"}, {"trait": "subject", "contains": "neighbour"}]}
    rules = [await desk.rule("phones", rule), await desk.rule("codes", {"trait": "fields.passcode", "is": SECRETS[4]})]
    opened: dict[str, Any] = await desk.ticket(type="repair", subject=SAID, description=SAID, fields=FILLED)
    await desk.act(opened, "comments", text=SAID)
    await desk.act(opened, "comments", text=f"Between us: {SAID}", public=False)
    await desk.act(opened, "close", resolution=SAID)
    await desk.act(opened, "rating", score=2, comment=SAID)
    return {**opened, "rules": [rule["id"] for rule in rules]}


async def test_nothing_personal_is_read_by_whoever_sees_nothing(
    app: FastAPI, client: httpx.AsyncClient, token: Callable[..., str], ticket: dict[str, Any]
) -> None:
    places = {
        "ticket_id": ticket["id"],
        "agent_id": "ann",
        "/v1/calendars/{key}": "/v1/calendars/always",
        "key": "repair",
    }
    answers: dict[str, httpx.Response] = {}
    for rule in ticket["rules"]:
        answers |= await read_all(app, client, token("*", fields=()), {**places, "rule_id": rule})
    assert {answer.status_code for answer in answers.values()} == {200}
    assert list(exposed(answers, SECRETS)) == []
    found = set(exposed(await read_all(app, client, token("*"), {**places, "rule_id": rule}), SECRETS))
    path = f"/v1/tickets/{ticket['id']}"
    assert found >= {(path, secret) for secret in SECRETS[:-1]}
    assert {place for place, _ in found} >= {path, f"{path}/events", "/v1/tickets", f"/v1/dispatch-rules/{rule}"}


async def test_an_agent_reads_the_text_and_not_the_numbers_in_it(
    client: httpx.AsyncClient, token: Callable[..., str], ticket: dict[str, Any]
) -> None:
    agent = as_who(token, "personal", scopes="tickets:read")
    shown = (await client.get(f"/v1/tickets/{ticket['id']}", headers=agent)).json()
    assert (shown["description"], shown["resolution"], shown["rating"]["comment"]) == (SHOWN, SHOWN, SHOWN)
    assert shown["fields"] == {
        "street": "Quietstreet 1",
        "phone": "138****6666",
        "passcode": "****",
        "serial": "A1",
        "year": 7,
    }
    listed = (await client.get("/v1/tickets", headers=agent)).json()["items"]
    assert listed == [shown]
    lines = (await client.get(f"/v1/tickets/{ticket['id']}/events", headers=agent)).json()["items"]
    assert [line["detail"]["text"] for line in lines if line["kind"] == "commented"] == [SHOWN, f"Between us: {SHOWN}"]
    [because] = [line["detail"]["rule"]["because"] for line in lines if line["kind"] == "dispatched"][:1]
    assert [item["value"] for item in because] == ["****", SHOWN]


async def test_an_analyst_reads_what_is_public(
    client: httpx.AsyncClient, token: Callable[..., str], ticket: dict[str, Any]
) -> None:
    shown = (await client.get(f"/v1/tickets/{ticket['id']}", headers=as_who(token))).json()
    assert {shown[name] for name in ("subject", "description", "resolution")} == {"****"}
    assert (shown["fields"]["serial"], shown["fields"]["year"], shown["stage"]) == ("A1", "****", "done")
    assert (shown["rating"]["score"], shown["rating"]["comment"]) == (2, "****")


async def test_answers_to_writers_are_masked_too(
    client: httpx.AsyncClient, token: Callable[..., str], desk: Any
) -> None:
    body = {"customer_id": str(await desk.customer()), "type": "question", "subject": "a", "description": SAID}
    writer = {**as_who(token, "personal", scopes="tickets:write"), "Idempotency-Key": "k"}
    made = await client.post("/v1/tickets", json=body, headers=writer)
    assert (made.status_code, made.json()["description"]) == (201, SHOWN)
    moved = await client.post(f"/v1/tickets/{made.json()['id']}/comments", json={"text": "x"}, headers=writer)
    assert moved.json()["description"] == SHOWN


async def test_customers_read_their_own_words_and_nobody_elses(desk: Any) -> None:
    via = await desk.customer()
    body = {"type": "question", "subject": SAID, "description": SAID}
    mine = (await desk.post("/v1/me/tickets", body, via=via)).json()
    await desk.act(mine, "comments", text="zed's inner thoughts", public=False)
    await desk.act(mine, "comments", text=SAID)
    path = f"/v1/me/tickets/{mine['id']}"
    read = [(await desk.get(place, via=via)) for place in (path, "/v1/me/tickets", f"{path}/events")]
    assert (read[0].json()["subject"], read[0].json()["description"]) == (SAID, SAID)
    assert [item["detail"]["text"] for item in read[2].json()["items"] if item["kind"] == "commented"] == [SAID]
    assert not any("inner thoughts" in answer.text for answer in read)


async def test_a_reveal_is_a_scope_a_reason_and_a_row(
    client: httpx.AsyncClient, token: Callable[..., str], ticket: dict[str, Any]
) -> None:
    path = f"/v1/tickets/{ticket['id']}/reveal"
    for scopes in ("tickets:*", "customers:read tickets:read", "customers:reveal", "customers:reveal tickets:write"):
        assert (await client.post(path, json={"reason": "x"}, headers=as_who(token, scopes=scopes))).status_code == 403
    may = as_who(token, "personal", scopes="customers:reveal tickets:read")
    for wrong in ({}, {"reason": ""}, {"reason": "a\x00"}, {"reason": "x", "more": 1}):
        assert (await client.post(path, json=wrong, headers=may)).status_code == 422
    missing = await client.post(f"/v1/tickets/{uuid4()}/reveal", json={"reason": "they asked"}, headers=may)
    assert missing.status_code == 404
    shown = (await client.post(path, json={"reason": "To call back"}, headers=may)).json()
    assert (shown["description"], shown["fields"]) == (SAID, FILLED)
    assert next(line["detail"]["text"] for line in shown["events"] if line["kind"] == "commented") == SAID
    trail = (await client.get("/v1/audit/tickets?action=ticket.revealed")).json()["items"]
    assert [(item["subject"], item["detail"]) for item in trail] == [(ticket["id"], {"reason": "To call back"})]


@pytest.mark.parametrize(
    ("rule", "seen", "pointer"),
    [
        ({"trait": "subject", "contains": "a"}, (), "/rule/trait"),
        ({"trait": "subject", "contains": "1391"}, ("personal",), "/rule/trait"),
        ({"trait": "description", "is": "call 00393331234567"}, ("personal",), "/rule/trait"),
        ({"trait": "description", "contains": "a"}, ("sensitive",), "/rule/trait"),
        ({"any": [EVERYONE, {"not": {"trait": "fields.phone", "is": "a"}}]}, ("personal",), "/rule/any/1/not/trait"),
        ({"trait": "fields.passcode", "is": "a"}, ("personal",), "/rule/trait"),
        ({"trait": "fields.nobody_knows", "is": "a"}, (), "/rule/trait"),
        ({"trait": "fields", "is": "a"}, (), "/rule/trait"),
    ],
)  # fmt: skip
async def test_no_rule_asks_what_its_author_does_not_see(
    client: httpx.AsyncClient, token: Callable[..., str], ticket: dict[str, Any], rule: Any, seen: Any, pointer: str
) -> None:
    few = {**as_who(token, *seen), "If-Match": "*"}
    for refused in (
        await client.post("/v1/dispatch-rules", json={"name": "x", "rule": rule}, headers=few),
        await client.put(f"/v1/dispatch-rules/{ticket['rules'][0]}", json={"name": "x", "rule": rule}, headers=few),
    ):
        found = refused.json()
        assert (refused.status_code, found["code"], found["errors"][0]["pointer"]) == (403, "field_masked", pointer)


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        ({"trait": "priority", "is": "high"}, ()),
        ({"trait": "fields.serial", "is": "A1"}, ()),
        ({"trait": "fields.phone", "exists": True}, ()),
        ({"trait": "subject", "contains": "a"}, ("personal", "email", "phone")),
        ({"trait": "subject", "is": "Refund"}, ("personal",)),
        ({"trait": "fields.phone", "is": "a"}, ("phone",)),
        ({"segment": "0192d0c0-0000-7000-8000-000000000000"}, ()),
    ],
)
async def test_what_its_author_sees_may_be_asked(
    client: httpx.AsyncClient, token: Callable[..., str], ticket: dict[str, Any], rule: Any, seen: Any
) -> None:
    made = await client.post("/v1/dispatch-rules", json={"name": "x", "rule": rule}, headers=as_who(token, *seen))
    assert made.status_code == 201, made.text
    assert made.json()["rule"] == rule


async def test_decisions_from_before_say_less(
    client: httpx.AsyncClient, token: Callable[..., str], session: WriteSession, ticket: dict[str, Any]
) -> None:
    await session.execute(
        text("""INSERT INTO ticket_event (ticket_id, at, actor, kind, public, detail)
                SELECT ticket_id, at, actor, kind, public, jsonb_set(detail, '{rule,because}',
                '[{"condition": "neighbour", "holds": true, "value": "Quietstreet"}]')
                FROM ticket_event WHERE kind = 'dispatched'""")
    )
    path = f"/v1/tickets/{ticket['id']}/events"
    for fields, told in (((), "****"), (("personal",), "****"), (("personal", "sensitive"), "Quietstreet")):
        lines = (await client.get(path, headers=as_who(token, *fields))).json()["items"]
        line = [item for item in lines if item["kind"] == "dispatched"][-1]
        assert line["detail"]["rule"]["because"][0]["value"] == told
