"""What partners get in clear: never more than was allowed, nor than those who allowed it see themselves."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.contracts.base import Event
from perennial.common.contracts.identity import Assignment, IdentifiersAssigned
from perennial.common.contracts.loyalty import PointsSpent
from perennial.common.contracts.profile import TraitsChanged
from perennial.common.contracts.tickets import TicketAssigned, TicketClosed
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.exposure import exposed, read_all
from perennial.integrations import disclosure, service
from perennial.integrations.delivery import deliver_once, key_of, settings_of
from perennial.integrations.egress import Egress

TRAITS = {
    "plan": "gold",
    "first_name": "Zebulon",
    "email": "zebulon@secret.example",
    "phone": "+8613877776666",
    "shoe_size": "size-fortyfour-wide",
    "contacts": [{"phone": "13955554444"}],
}
SECRETS = ("Zebulon", "zebulon@secret.example", "77776666", "fortyfour", "13955554444", "d1ge57d1ge57", "neighbour")
SHOES = masks.value("shoe_size", TRAITS["shoe_size"])
GOOD = {"url": "http://127.0.0.1:9/hook", "event_types": ["profile.*"]}


def facts() -> list[Event]:
    who: dict[str, Any] = {"via": uuid7(), "customer": uuid7()}
    stands = {"type": "t", "stage": "s", "open": False, "priority": "low", "version": 1}
    ticket: dict[str, Any] = {**who, **stands, "ticket_id": uuid7()}
    return [
        TraitsChanged(**who, traits=TRAITS),
        PointsSpent(**who, posting_id=uuid7(), points=5, reason="for zebulon@secret.example", reference="13955554444"),
        TicketAssigned(**ticket, assignee="zebulon@secret.example"),
        TicketClosed(**ticket, resolution="Gave it to his neighbour Zebulon, 13955554444"),
        IdentifiersAssigned(assignments=[Assignment(**who, version=1, kind="email", digest="d1ge57d1ge57")]),
    ]


TYPES = [fact.subject for fact in facts()]


async def subscribe(process: Runtime, url: str, *fields: str) -> tuple[UUID, str]:
    async with process.database.write() as session:
        made, secret = await service.create(
            session, key_of(settings_of(process)), url=url, event_types=TYPES, description="", fields=fields
        )
        return made.id, secret


async def allow(process: Runtime, webhook_id: UUID, *fields: str) -> None:
    async with process.database.write() as session:
        await service.change(session, await service.find(session, webhook_id, lock=True), {"fields": list(fields)})


async def say(process: Runtime, events: Sequence[Event]) -> None:
    async with process.database.write() as session:
        await service.enqueue(session, events)


async def again(process: Runtime) -> None:
    async with process.database.write() as session:
        await session.execute(text("UPDATE delivery SET state = 'pending', next_at = now()"))
        await session.execute(text("UPDATE webhook SET paused_until = NULL"))


async def drain(process: Runtime, egress: Egress) -> None:
    while await deliver_once(process, egress):
        pass


def said(partner: Any, subject: str) -> dict[str, Any]:
    found = [json.loads(body) for _, body in partner.got]
    return next(item for item in found if item["type"] == subject)


async def test_without_an_allow_list_no_byte_is_personal(process: Runtime, egress: Egress, partner: Any) -> None:
    _, secret = await subscribe(process, partner.url)
    await say(process, facts())
    await drain(process, egress)
    assert len(partner.got) == len(TYPES)
    everything = b"\n".join(body + repr(headers).encode() for headers, body in partner.got).decode()
    assert [text for text in SECRETS if text in everything] == []
    for headers, body in partner.got:
        Webhook(secret).verify(body.decode(), {name.lower(): value for name, value in headers.items()})
    traits = said(partner, "profile.traits.changed.v1")
    assert traits["data"]["traits"] == {
        "plan": "gold",
        "first_name": "Z****",
        "email": "z****@secret.example",
        "phone": "+86138****6666",
        "shoe_size": SHOES,
        "contacts": [{"phone": "139****4444"}],
    }
    assert traits["masked"] == [
        "/traits/contacts/0/phone",
        "/traits/email",
        "/traits/first_name",
        "/traits/phone",
        "/traits/shoe_size",
    ]
    assert said(partner, "tickets.ticket.closed.v1")["data"]["resolution"] == "****"
    assert "digest" not in said(partner, "identity.identifiers.assigned.v1")["data"]["assignments"][0]


async def test_an_endpoint_gets_what_it_may_and_no_more(process: Runtime, egress: Egress, partner: Any) -> None:
    await subscribe(process, partner.url, "personal", "email")
    await say(process, facts())
    await drain(process, egress)
    traits = said(partner, "profile.traits.changed.v1")["data"]["traits"]
    assert (traits["first_name"], traits["email"], traits["phone"]) == ("Zebulon", TRAITS["email"], "+86138****6666")
    assert traits["contacts"] == [{"phone": "139****4444"}]
    closed = said(partner, "tickets.ticket.closed.v1")
    assert closed["data"]["resolution"] == "Gave it to his neighbour Zebulon, 139****4444"
    assert said(partner, "loyalty.points.spent.v1")["data"]["reason"] == "for zebulon@secret.example"
    partner.got.clear()
    await subscribe(process, partner.url, "*")
    events = facts()
    await say(process, events)
    await drain(process, egress)
    whole = [json.loads(body) for _, body in partner.got if b"masked" not in body]
    assert {item["type"] for item in whole} == set(TYPES)
    assert said(partner, "identity.identifiers.assigned.v1") is not None
    assert any(item["data"].get("traits") == TRAITS for item in whole)


async def test_every_attempt_has_the_same_bytes_unless_less_may_be_seen_by_now(
    process: Runtime, egress: Egress, partner: Any
) -> None:
    webhook_id, _ = await subscribe(process, partner.url, "personal")
    partner.answers = [(500, {})] * 4
    await say(process, facts()[:1])
    await deliver_once(process, egress)
    await allow(process, webhook_id, "personal", "sensitive")  # more, which the message was not sent with
    await again(process)
    await deliver_once(process, egress)
    await allow(process, webhook_id, "first_name", "phone")  # less in one respect
    await again(process)
    await deliver_once(process, egress)
    await allow(process, webhook_id, "*")  # what was taken away does not come back
    await again(process)
    await deliver_once(process, egress)
    await allow(process, webhook_id)
    await again(process)
    await deliver_once(process, egress)
    bodies = [body for _, body in partner.got]
    assert len({headers["webhook-id"] for headers, _ in partner.got}) == 1
    assert bodies[0] == bodies[1] != bodies[2] == bodies[3] != bodies[4]
    traits = [json.loads(body)["data"]["traits"] for body in bodies]
    assert [(item["first_name"], item["shoe_size"]) for item in traits] == [
        ("Zebulon", "size-fortyfour-wide"),
        ("Zebulon", "size-fortyfour-wide"),
        ("Zebulon", SHOES),
        ("Zebulon", SHOES),
        ("Z****", SHOES),
    ]
    assert {item["phone"] for item in traits} == {"+86138****6666"}


async def test_what_was_not_sent_yet_follows_the_list_of_the_moment(
    process: Runtime, egress: Egress, partner: Any
) -> None:
    webhook_id, _ = await subscribe(process, partner.url, "*")
    await say(process, facts()[:1])
    await allow(process, webhook_id)
    await drain(process, egress)
    assert "Zebulon" not in partner.got[0][1].decode()


@pytest.fixture
async def logged(database: Database, runtime: Runtime, partner: Any, client: httpx.AsyncClient) -> dict[str, Any]:
    """An endpoint that sees everything, what was sent to it, and its answers, which repeat what they were sent."""
    created = await client.post("/v1/webhooks", json={"url": partner.url, "event_types": TYPES, "fields": ["*"]})
    assert created.status_code == 201, created.text
    await say(runtime, facts())
    egress = Egress(settings_of(runtime).egress_allow_cidrs, 2)
    await drain(runtime, egress)
    await egress.close()
    async with database.write() as session:
        await session.execute(text("UPDATE attempt SET response = :said"), {"said": "Hello Zebulon, neighbour"})
    return dict(created.json())


async def test_nothing_personal_is_read_by_whoever_sees_nothing(
    app: FastAPI, client: httpx.AsyncClient, token: Callable[..., str], logged: dict[str, Any]
) -> None:
    answers = await read_all(app, client, token("*", fields=()), {"webhook_id": logged["id"]})
    assert {answer.status_code for answer in answers.values()} == {200}
    assert list(exposed(answers, SECRETS)) == []
    assert set(exposed(await read_all(app, client, token("*"), {"webhook_id": logged["id"]}), SECRETS)) >= {
        (f"/v1/webhooks/{logged['id']}/messages", secret) for secret in SECRETS
    }


async def test_the_log_shows_what_both_endpoint_and_reader_may_see(
    client: httpx.AsyncClient, token: Callable[..., str], logged: dict[str, Any], runtime: Runtime
) -> None:
    path = f"/v1/webhooks/{logged['id']}"
    few = {"Authorization": f"Bearer {token('webhooks:read', fields=('personal',))}"}
    messages = (await client.get(f"{path}/messages", headers=few)).json()["items"]
    traits = next(item["body"]["data"]["traits"] for item in messages if item["type"].startswith("profile"))
    assert (traits["first_name"], traits["email"]) == ("Zebulon", "z****@secret.example")
    answers = (await client.get(f"{path}/attempts", headers=few)).json()["items"]
    assert {item["response"] for item in answers} == {"****"}
    seen = (await client.get(f"{path}/attempts")).json()["items"]
    assert {item["response"] for item in seen} == {"Hello Zebulon, neighbour"}
    quiet = (await client.post("/v1/webhooks", json={**GOOD, "event_types": TYPES})).json()["id"]
    await say(runtime, facts())
    items = (await client.get(f"/v1/webhooks/{quiet}/messages")).json()["items"]
    assert len(items) == len(TYPES)
    assert "Zebulon" not in json.dumps(items)


async def test_nobody_shows_a_partner_more_than_they_see(client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    def by(*fields: str, scopes: str = "webhooks:read webhooks:write webhooks:pii") -> dict[str, str]:
        return {"Authorization": f"Bearer {token(*scopes.split(), fields=fields)}", "If-Match": "*"}

    async def make(headers: dict[str, str], *fields: str) -> httpx.Response:
        return await client.post("/v1/webhooks", json={**GOOD, "fields": list(fields)}, headers=headers)

    no_scope = by("*", scopes="webhooks:read webhooks:write")
    refused = await make(no_scope, "email")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    for seen, wanted in ((("personal",), "email"), (("email",), "sensitive"), (("personal", "sensitive"), "*")):
        refused = await make(by(*seen), wanted)
        assert (refused.status_code, refused.json()["code"], wanted in refused.text) == (403, "field_masked", True)
    assert (await make(no_scope, "plan")).json()["fields"] == ["plan"]
    assert (await make(by("sensitive"), "Phone", "phone", "email")).json()["fields"] == ["email", "phone"]

    path = f"/v1/webhooks/{(await make(by('*'), 'personal', 'email')).json()['id']}"
    less, more, same = ["personal"], ["personal", "email", "phone"], {"url": "http://127.0.0.1:9/other"}
    for who, change, status in (
        (by("personal"), {"fields": more}, 403),
        (by("personal"), same, 403),
        (by("personal"), {"event_types": ["loyalty.*"]}, 403),
        (by("personal"), {"disabled": True}, 200),
        (by("personal"), {"disabled": False}, 403),
        (by("*", scopes="webhooks:write"), same, 403),
        (by("*"), {"disabled": False}, 200),
        (by("personal", "sensitive"), {"fields": more}, 200),
        (by("personal"), {"fields": less}, 200),
        (by("personal"), same, 200),
        (by(scopes="webhooks:write"), {"fields": [], **same}, 200),
    ):
        answer = await client.patch(path, json=change, headers=who)
        assert answer.status_code == status, (change, answer.text)


async def test_what_goes_to_partners_is_sent_again_only_by_who_sees_it(
    client: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    made = await client.post("/v1/webhooks", json={**GOOD, "fields": ["email"]})
    path = f"/v1/webhooks/{made.json()['id']}"
    for headers in (
        {"Authorization": f"Bearer {token('webhooks:write')}"},
        {"Authorization": f"Bearer {token('webhooks:*', fields=('personal',))}"},
    ):
        for refused in (
            await client.post(f"{path}/rotate-secret", headers=headers),
            await client.post(f"{path}/recover", json={"since": "2026-01-01T00:00:00Z"}, headers=headers),
            await client.post(f"{path}/messages/{uuid4()}/resend", headers=headers),
        ):
            assert refused.status_code == 403
    trail = (await client.get("/v1/audit/integrations")).json()["items"]
    assert (trail[0]["action"], trail[0]["detail"]["fields"]) == ("webhook.created", ["email"])


LISTS = st.lists(st.sampled_from(["*", "personal", "sensitive", "email", "phone", "first_name", "plan", "odd"]))
NAMES = ("email", "phone", "first_name", "plan", "odd", "birthday", "ip")


@given(LISTS, LISTS)
def test_two_lists_meet_in_what_both_show(one: list[str], other: list[str]) -> None:
    def seen(fields: Sequence[str]) -> set[str]:
        who = Principal("staff", "x", frozenset(), None, frozenset(fields))
        return {name for name in NAMES if masks.sees(who, name)}

    assert seen(disclosure.meet(one, other)) == seen(one) & seen(other)
    if not disclosure.beyond(one, other):
        assert seen(one) <= seen(other)
