"""Who sees what of identifiers, by every way out of identity, and reveals."""

import base64
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import WriteSession
from perennial.common.messaging.parked import Origin, Parked, park
from perennial.common.testing.exposure import CONTEXT, PHONE, PROPERTIES, SECRETS, TRAITS, exposed, read_all
from perennial.identity.suggestions.pairs import Pair
from perennial.identity.suggestions.queries import suggest

EMAIL = TRAITS["email"]
WHY = {"reason": "the customer asked us to read it back"}
QUERIES = {
    "/v1/identifiers": f"/v1/identifiers?identifier=email:{EMAIL}",
    "/v1/suggestions/{suggestion_id}": "/v1/suggestions",
}
NEVER_HERE = {"1987", "0101", "60598", "arkspur", "olpertinger", "47.11", "8.445"}  # no identifier says them


@pytest.fixture
async def person(decided: Any, accept: Any, client: httpx.AsyncClient) -> tuple[UUID, str]:
    """A customer of every kind of identifier, in two merges and a conflict; and the id of one merge."""
    message = f"m-{EMAIL}"
    [known] = await decided(accept(userId=EMAIL, traits=TRAITS, context=CONTEXT))
    await decided(accept(anonymousId="13987654321"))
    await decided(accept(userId=EMAIL, anonymousId="13987654321", message_id=message))
    await decided(accept(userId="another"))
    await decided(accept(userId="another", traits={"email": EMAIL}, message_id=f"{message}-2"))
    [visit] = await decided(accept(anonymousId=PHONE))
    body = {"customer_ids": [str(known.customer), str(visit.customer)], "reason": f"she rang from {PHONE}, {EMAIL}"}
    made = await client.post("/v1/merges", json=body)
    assert made.status_code == 201, made.text
    return known.customer, made.json()["id"]


@pytest.fixture
async def stuck(session: WriteSession, accept: Any) -> None:
    """Parked events: one that reads, one that does not."""
    event = accept(userId=EMAIL, traits=TRAITS, context=CONTEXT, properties=PROPERTIES, message_id=EMAIL)
    good = msgspec.json.encode(EventsAccepted("shop", [event]))
    error = f"invalid value '{TRAITS['last_name']}' of {EMAIL}\nDETAIL: Failing row contains ({PHONE}, Larkspur)"
    origin = Origin("INGEST", "gateway.events.accepted.v1", {}, good)
    broken = Origin("INGEST", "gateway.events.accepted.v1", {}, good[:-3])
    await park(session, [Parked(origin, None, error, ""), Parked(broken, None, error, "")])


async def divided(client: httpx.AsyncClient, customer: UUID) -> str:
    """One of the customer's identifiers is shared, another is split off and joined again; the id of the split."""
    items = (await client.get(f"/v1/customers/{customer}/identifiers")).json()["items"]
    by_kind = {item["kind"]: item["id"] for item in items}
    why = {"reason": f"her sister's, {PHONE}, {EMAIL}"}
    assert (await client.post(f"/v1/identifiers/{by_kind['phone']}/share", json=why)).status_code == 200
    body = {"customer_id": str(customer), "identifiers": [by_kind["device_id"]], **why}
    made = await client.post("/v1/splits", json=body)
    assert made.status_code == 201, made.text
    split = str(made.json()["id"])
    assert (await client.post(f"/v1/splits/{split}/undo", json=why)).status_code == 200
    return split


async def test_no_get_route_shows_a_secret_to_who_sees_no_fields(
    app: FastAPI, client: httpx.AsyncClient, token: Callable[..., str], person: tuple[UUID, str], stuck: None
) -> None:
    customer, merge = person
    undone = await client.post(f"/v1/merges/{merge}/undo", json={"reason": f"not her, {PHONE}"})
    assert undone.status_code == 200
    conflict = (await client.get("/v1/conflicts")).json()["items"][0]["id"]
    why = {"reason": f"she rang from {PHONE}"}
    assert (await client.post(f"/v1/conflicts/{conflict}/dismiss", json=why)).status_code == 200
    split = await divided(client, customer)
    places = {
        "customer_id": customer, "merge_id": merge, "conflict_id": conflict, "split_id": split,
        "/v1/customers/{customer_id}/explain": f"/v1/customers/{customer}/explain?identifier=user_id:{EMAIL}",
        **QUERIES,
    }  # fmt: skip
    for limit in ("limit=1", "limit=50"):
        answers = await read_all(app, client, token("*", fields=()), places, limit)
        assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
        assert list(exposed(answers, SECRETS)) == []
    conflicts = (await client.get("/v1/conflicts")).json()["items"]
    assert conflicts
    clear = await read_all(app, client, token("*", fields=("*",)), places)
    assert {secret for _, secret in exposed(clear, SECRETS)} >= SECRETS - NEVER_HERE


MASKED = {
    "email": "z****@post.example",
    "user_id": "z****@post.example",
    "anonymous_id": "139****4321",
    "external_id": "****",
    "device_id": "dev****l-01",
}
CLEAR = {
    "email": EMAIL,
    "user_id": EMAIL,
    "anonymous_id": "13987654321",
    "external_id": "partner:ext-Glockenspiel-03",
    "device_id": "device-Glockenspiel-01",
}


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ((), ()),
        (("personal",), ("external_id",)),
        (("email",), ("email", "user_id")),
        (("phone",), ("anonymous_id",)),
        (("sensitive",), ("email", "user_id", "anonymous_id", "device_id")),
        (("*",), tuple(CLEAR)),
    ],
)
async def test_identifiers_are_masked_by_what_they_are(
    client: httpx.AsyncClient,
    token: Callable[..., str],
    person: tuple[UUID, str],
    fields: tuple[str, ...],
    seen: tuple[str, ...],
) -> None:
    headers = {"Authorization": f"Bearer {token('identities:read', fields=fields)}"}
    answer = await client.get(f"/v1/customers/{person[0]}/identifiers", headers=headers)
    shown = {(item["kind"], item["value"]) for item in answer.json()["items"]}
    for kind, masked in MASKED.items():
        assert ((kind, masked) in shown) == (kind not in seen)
        assert ((kind, CLEAR[kind]) in shown) == (kind in seen)


async def test_a_parked_event_is_masked_within_its_envelope(
    client: httpx.AsyncClient, token: Callable[..., str], stuck: None
) -> None:
    async def listed(*fields: str) -> list[Any]:
        headers = {"Authorization": f"Bearer {token('identities:read', fields=fields)}"}
        items: list[Any] = (await client.get("/v1/identity/parked", headers=headers)).json()["items"]
        return items

    [good, broken] = await listed()
    assert good["error"] == broken["error"] == "invalid value **** of z****@post.example"
    [event] = json.loads(base64.b64decode(good["body"]))["events"]
    assert (event["message_id"], event["type"]) == ("z****@post.example", "track")
    assert event["body"]["userId"] == event["body"]["traits"]["email"] == "z****@post.example"
    assert event["body"]["properties"]["total"] == 12
    assert broken["body"] is None
    [good, broken] = await listed("*")
    [event] = json.loads(base64.b64decode(good["body"]))["events"]
    assert event["body"]["traits"] == TRAITS
    assert "DETAIL" in good["error"]
    assert base64.b64decode(broken["body"])


async def test_a_reason_that_somebody_wrote_is_for_who_sees_personal_fields(
    client: httpx.AsyncClient, token: Callable[..., str], person: tuple[UUID, str]
) -> None:
    path = f"/v1/merges/{person[1]}"
    assert (await client.post(f"{path}/undo", json={"reason": f"not her, {PHONE}"})).status_code == 200
    for fields, why, undone in (
        ((), "****", "****"),
        (("personal",), "she rang from +86139****4321, z****@post.example", "not her, +86139****4321"),
        (("*",), f"she rang from {PHONE}, {EMAIL}", f"not her, {PHONE}"),
    ):
        headers = {"Authorization": f"Bearer {token('identities:read', fields=fields)}"}
        shown = (await client.get(path, headers=headers)).json()
        assert (shown["evidence"]["reason"], shown["undone_reason"]) == (why, undone)


async def test_why_a_suggestion_was_rejected_is_for_who_sees_personal_fields(
    client: httpx.AsyncClient, token: Callable[..., str], session: WriteSession, decided: Any, accept: Any
) -> None:
    [one], [other] = await decided(accept(userId="a")), await decided(accept(anonymousId="b"))
    low, high = sorted((str(one.customer), str(other.customer)))
    await suggest(session, [Pair(low, high, 9.5, 0.99, {})])
    [shown] = (await client.get("/v1/suggestions")).json()["items"]
    path = f"/v1/suggestions/{shown['id']}"
    assert (await client.post(f"{path}/reject", json={"reason": f"not her, {PHONE}"})).status_code == 200
    for fields, why in (
        ((), "****"),
        (("personal",), "not her, +86139****4321"),
        (("*",), f"not her, {PHONE}"),
    ):
        headers = {"Authorization": f"Bearer {token('identities:read', fields=fields)}"}
        assert (await client.get(path, headers=headers)).json()["reason"] == why


async def test_who_asks_by_an_exact_identifier_knows_it(
    client: httpx.AsyncClient, token: Callable[..., str], person: tuple[UUID, str]
) -> None:
    headers = {"Authorization": f"Bearer {token('identities:read', fields=())}"}
    found = await client.get("/v1/identifiers", params={"identifier": f"email:{EMAIL}"}, headers=headers)
    assert found.json()["customer_id"] == str(person[0])
    assert EMAIL not in found.text


async def trail(session: WriteSession) -> list[Any]:
    found = await session.execute(
        text("SELECT principal, action, subject, detail FROM audit WHERE action LIKE '%revealed' ORDER BY id")
    )
    return [tuple(row) for row in found]


async def test_a_reveal_shows_identifiers_and_is_on_the_record(
    client: httpx.AsyncClient, token: Callable[..., str], person: tuple[UUID, str], session: WriteSession
) -> None:
    headers = {
        "Authorization": f"Bearer {token('customers:reveal', 'identities:read', fields=(), who='ann', kind='staff')}"
    }
    path = f"/v1/customers/{person[0]}/identifiers/reveal"
    answer = await client.post(path, json={"kinds": ["email", "phone"], **WHY}, headers=headers)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    shown = answer.json()
    assert (shown["id"], shown["truncated"]) == (str(person[0]), False)
    assert {(item["kind"], item["value"]) for item in shown["identifiers"]} == {("email", EMAIL), ("phone", PHONE)}
    everything = (await client.post(path, json=WHY, headers=headers)).json()
    assert "device-Glockenspiel-01" in {item["value"] for item in everything["identifiers"]}
    first, second = await trail(session)
    detail = {"fields": ["email", "phone"], "identifiers": 2, **WHY}
    assert first == ("staff:ann", "identifiers.revealed", str(person[0]), detail)
    assert second[3]["identifiers"] == len(everything["identifiers"])


async def test_reveals_want_their_scope_a_reason_and_somebody(
    client: httpx.AsyncClient, token: Callable[..., str], person: tuple[UUID, str], session: WriteSession
) -> None:
    path = f"/v1/customers/{person[0]}/identifiers/reveal"
    for bearer in (token("identities:*"), token("customers:*"), token("*", via=person[0])):
        assert (await client.post(path, json=WHY, headers={"Authorization": f"Bearer {bearer}"})).status_code == 403
    for wrong in (
        {},
        {"reason": ""},
        {**WHY, "kinds": []},
        {**WHY, "kinds": ["shoe"]},
        {**WHY, "kinds": ["email"] * 51},
    ):
        assert (await client.post(path, json=wrong)).status_code == 422, wrong
    assert (await client.post(f"/v1/customers/{uuid4()}/identifiers/reveal", json=WHY)).status_code == 404
    assert await trail(session) == []
