"""Who sees what of a customer, by every way out of profile, and reveals."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.contracts.loyalty import RedemptionConfirmed
from perennial.common.db import Database, ReadSession
from perennial.common.identifiers import blind_index
from perennial.common.ids import uuid7
from perennial.common.testing.events import identified, tracked
from perennial.common.testing.exposure import CONTEXT, PHONE, PROPERTIES, SECRETS, TRAITS, exposed, read_all
from perennial.profile.traits import sealing

Hear = Callable[..., Awaitable[None]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
EMAIL = TRAITS["email"]
WHY = {"reason": "the customer asked us to read it back"}


def with_context(event: ResolvedEvent, **body: Any) -> ResolvedEvent:
    told = {**msgspec.json.decode(event.body), "context": CONTEXT, **body}
    return msgspec.structs.replace(event, body=msgspec.Raw(msgspec.json.encode(told)))


# What staff made by hand, of which there is none here; their own tests look at what they show.
MADE_BY_STAFF = re.compile(
    r"/v1/(erasures/|lifecycle|operations/profile/|quality/(rules|sources)/|tags/|topics/|traits/)|"
    r"/v1/customers/[^/]+/(computed-traits|tags)/"
)


@pytest.fixture
async def person(hear: Hear, assign: Callable[..., Awaitable[None]]) -> UUID:
    """A customer of two events, `m-1` and `m-2`, known by an e-mail address."""
    via = uuid7()
    digest = blind_index(bytes.fromhex("11" * 32), "email", EMAIL).hex()
    await assign(via, via, version=1, kind="email", digest=digest)
    said = identified(TRAITS, via=via, at=NOON, message_id="m-1")
    bought = tracked("Order Completed", PROPERTIES, via=via, at=NOON, message_id="m-2")
    odd = tracked(f"Mailed {EMAIL}", {}, via=via, at=NOON, message_id=f"m-3-{EMAIL}")
    await hear(with_context(said), with_context(bought, userId=EMAIL, anonymousId=PHONE), odd)
    await hear(
        RedemptionConfirmed(
            redemption_id=uuid7(), reward_id=uuid7(), kind="coupon", via=via, customer=via, points=5,
            currency="points", amount=Decimal(9), money="EUR", version=2, reward_name={"en": "Coffee"},
            payment_reference=f"{EMAIL} {PHONE}",
        )
    )  # fmt: skip
    return via


@pytest.fixture
def as_(client: httpx.AsyncClient, token: Callable[..., str]) -> Callable[..., Awaitable[Any]]:
    """`await as_(["personal"], "/v1/customers", q="x")`: the JSON that a principal with these fields gets."""

    async def asked(fields: list[str], path: str, **params: Any) -> Any:
        bearer = token("customers:read", fields=fields)
        answer = await client.get(path, params=params, headers={"Authorization": f"Bearer {bearer}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return asked


@pytest.mark.usefixtures("standard_set")
async def test_no_get_route_shows_a_secret_to_who_sees_no_fields(
    app: FastAPI, client: httpx.AsyncClient, token: Callable[..., str], person: UUID
) -> None:
    places = {"id": person, "message_id": "m-2", "key": "email", "source": "shop", "name": "list.csv"}
    places |= {"erasure_id": person, "operation_id": person, "/v1/computed-traits/{key}": "/v1/computed-traits/orders"}
    for limit in ("limit=1", "limit=50"):
        answers = await read_all(app, client, token("*", fields=()), places, limit)
        missing = {path for path, answer in answers.items() if answer.status_code != 200}
        assert {answers[path].status_code for path in missing} == {404}
        assert {path for path in missing if not MADE_BY_STAFF.match(path)} == set()
        assert list(exposed(answers, SECRETS)) == []
    clear = await read_all(app, client, token("*", fields=("*",)), places)
    assert {secret for _, secret in exposed(clear, SECRETS)} == SECRETS


async def test_a_customer_in_a_list_and_alone(as_: Any, person: UUID) -> None:
    for fields, email, street, phone in (
        ([], "z****@post.example", "****", "+86139****4321"),
        (["personal"], "z****@post.example", "17 Larkspur Crescent", "+86139****4321"),
        (["email"], EMAIL, "****", "+86139****4321"),
        (["sensitive"], EMAIL, "****", PHONE),
        (["*"], EMAIL, "17 Larkspur Crescent", PHONE),
    ):
        alone = await as_(fields, f"/v1/customers/{person}")
        [listed] = (await as_(fields, "/v1/customers"))["items"]
        [found] = (await as_(fields, "/v1/customers", identifier=f"email:{EMAIL}"))["items"]
        detailed = {name: detail["value"] for name, detail in alone["trait_details"].items()}
        for traits in (alone["traits"], listed["traits"], found["traits"], detailed):
            assert (traits["email"], traits["address"]["street"], traits["phone"]) == (email, street, phone)
            assert (traits["plan"], traits["pet of youth"]) == (
                "gold", "Wolpertinger" if {"personal", "*"} & {*fields} else "****",
            )  # fmt: skip
        assert alone["traits"]["address"]["phone"] == (PHONE if fields == ["*"] else "+86139****4321")


async def test_an_event_in_the_timeline_and_alone(as_: Any, person: UUID) -> None:
    for fields, email, street in (
        ([], "z****@post.example", "****"),
        (["personal"], "z****@post.example", "17 Larkspur Crescent"),
        (["email"], EMAIL, "****"),
        (["*"], EMAIL, "17 Larkspur Crescent"),
    ):
        events = (await as_(fields, f"/v1/customers/{person}/events"))["items"]
        [listed] = [event for event in events if event["message_id"] == "m-2"]
        assert listed == await as_(fields, "/v1/events/m-2")
        body = listed["body"]
        assert (body["properties"]["email"], body["userId"]) == (email, email)
        assert body["properties"]["shippingAddress"]["street"] == street
        assert (body["properties"]["total"], body["properties"]["products"][0]["name"]) == (12, "Shirt")


async def test_customers_see_themselves_in_clear(
    client: httpx.AsyncClient, token: Callable[..., str], person: UUID
) -> None:
    own = {"Authorization": f"Bearer {token(via=person, fields=())}"}
    assert (await client.get("/v1/me", headers=own)).json()["traits"]["email"] == EMAIL


async def test_what_is_stored_is_sealed_and_never_masked(as_: Any, person: UUID, session: ReadSession) -> None:
    await as_([], f"/v1/customers/{person}")
    [stored] = (await session.execute(text("SELECT value FROM trait WHERE key = 'email'"))).scalars()
    assert sealing.opened(sealing.vault_of(session), "email", stored) == EMAIL != stored


@pytest.mark.parametrize(
    ("fields", "words", "found"),
    [
        ([], "zoe", False),
        ([], "zoe.quill", False),
        ([], "Quillf", False),
        (["personal"], "Quillf", True),
        (["personal"], "Quillfo", True),
        (["personal"], "post.example", False),
        (["personal"], "1398765", False),
        (["personal"], "call 1", False),
        (["sensitive"], "Quillfo", False),
        (["email"], "Quillfo", False),
        (["family_name"], "Quillfo", True),
        (["family_name"], "zoe", False),
        (["last_name"], "zoe", False),
        (["*"], "Quillf", True),
        (["*"], "call 1", False),
        (["*"], "Wolper", False),
    ],
)
async def test_a_search_looks_only_into_what_is_seen(
    as_: Any, hear: Hear, person: UUID, fields: list[str], words: str, found: bool
) -> None:
    await hear(identified({"last_name": TRAITS["last_name"], "family_name": "Quillfort"}, via=person, at=NOON))
    items = (await as_(fields, "/v1/customers", q=words))["items"]
    assert [item["id"] for item in items] == ([str(person)] if found else [])


_KEYS = st.sampled_from(
    ["email", "E-Mail", "work_email", "emails", "phone2", "phone_number", "mobile", "plan", "Company ID", "company",
     "name", "first name", "id_card", "手机号", "family.name", "token", "lat", "ip", "vip", "tip", "user_id", "x"]
)  # fmt: skip
_FIELDS = st.lists(st.sampled_from(["personal", "sensitive", "email", "name", "x", "*"]), max_size=3)
_VALUES = st.sampled_from(["abc", "a@b.example", "me: a@b.example", "13987654321", "+8613987654321", "SO-1398765432"])


@tries(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(key=_KEYS, fields=_FIELDS, value=_VALUES)
async def test_a_search_and_an_answer_agree(key: str, fields: list[str], value: str, session: ReadSession) -> None:
    """What a search may look into is what would be shown as it is."""
    principal = Principal("staff", "x", frozenset(), None, frozenset(fields))
    asked = text(f"SELECT {masks.searchable('CAST(:key AS text)', 'CAST(:value AS text)')}")
    values = {"key": key.lower(), "value": value, **masks.search_parameters(principal)}
    searched = (await session.execute(asked, values)).scalar_one()
    assert searched == (masks.trait(principal, key.lower(), value) == value)


async def trail(session: ReadSession) -> list[Any]:
    found = await session.execute(text("SELECT principal, action, subject, detail FROM audit ORDER BY id"))
    return [tuple(row) for row in found]


async def test_a_reveal_shows_traits_and_is_on_the_record(
    client: httpx.AsyncClient, token: Callable[..., str], person: UUID, session: ReadSession
) -> None:
    headers = {
        "Authorization": f"Bearer {token('customers:reveal', 'customers:read', fields=(), who='ann', kind='staff')}"
    }
    wanted = {"fields": ["email", "Pet Of Youth", "lastName", "shoe_size"], **WHY}
    answer = await client.post(f"/v1/customers/{person}/reveal", json=wanted, headers=headers)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json() == {
        "id": str(person),
        "traits": {"email": EMAIL, "pet of youth": "Wolpertinger", "last_name": "Quillfeather"},
    }
    detail = {"fields": ["email", "last_name", "pet of youth", "shoe_size"], **WHY}
    assert await trail(session) == [("staff:ann", "customer.revealed", str(person), detail)]


async def test_a_revealed_event_is_the_one_that_was_sent(
    client: httpx.AsyncClient, token: Callable[..., str], person: UUID, session: ReadSession
) -> None:
    headers = {"Authorization": f"Bearer {token('customers:reveal', 'customers:read', fields=())}"}
    answer = await client.post("/v1/events/m-2/reveal", json=WHY, headers=headers)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    shown = answer.json()
    assert (shown["body"]["properties"], shown["body"]["userId"]) == (PROPERTIES, EMAIL)
    [(_, action, subject, detail)] = await trail(session)
    assert (action, subject) == ("event.revealed", str(person))
    assert detail == {"event": shown["id"], "fields": ["body"], **WHY}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/v1/customers/{UUID(int=7)}/reveal", {"fields": ["email"], **WHY}),
        ("/v1/events/nothing/reveal", WHY),
    ],
)
async def test_a_reveal_of_nobody_is_404_and_not_on_the_record(
    client: httpx.AsyncClient, session: ReadSession, path: str, body: dict[str, Any]
) -> None:
    assert (await client.post(path, json=body)).status_code == 404
    assert await trail(session) == []


async def test_reveals_want_their_scope_a_reason_and_fields(
    client: httpx.AsyncClient, token: Callable[..., str], person: UUID, session: ReadSession
) -> None:
    path, body = f"/v1/customers/{person}/reveal", {"fields": ["email"], **WHY}
    for bearer in (token("customers:read"), token("customers:reveal"), token("customers:*", via=person)):
        headers = {"Authorization": f"Bearer {bearer}"}
        assert (await client.post(path, json=body, headers=headers)).status_code == 403
        assert (await client.post("/v1/events/m-2/reveal", json=WHY, headers=headers)).status_code == 403
    for wrong in (
        {**body, "reason": "ab"}, {**body, "reason": " a "}, {**body, "reason": "x" * 501}, {**body, "reason": "a\0bc"},
        {**body, "fields": []}, {**body, "fields": ["x"] * 51}, {**body, "fields": ["a\0"]}, {"fields": ["email"]},
        {**body, "more": 1},
    ):  # fmt: skip
        assert (await client.post(path, json=wrong)).status_code == 422, wrong
    assert await trail(session) == []


async def test_no_value_leaves_unless_its_row_of_the_trail_is_committed(
    committed: Database, runtime: Any, client: httpx.AsyncClient, database_urls: Any
) -> None:
    """The trail refuses at the commit itself: an answer sent before it would have told the value."""
    runtime.database, via = committed, uuid7()
    async with committed.write() as session:
        await session.execute(
            text("INSERT INTO identity_map (via, customer_id, version) VALUES (:via, :via, 1)"), {"via": via}
        )
        await session.execute(
            text("INSERT INTO trait VALUES (:via, 'email', '\"zoe@post.example\"', now(), 's', 'm')"), {"via": via}
        )
    owner = await asyncpg.connect(database_urls.owner)
    await owner.execute("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse()""")
    try:
        answer = await client.post(f"/v1/customers/{via}/reveal", json={"fields": ["email"], **WHY})
    finally:
        await owner.execute("DROP TRIGGER refuse ON audit; DROP FUNCTION refuse()")
        await owner.close()
    assert answer.status_code == 500
    assert "zoe" not in answer.text
    answer = await client.post(f"/v1/customers/{via}/reveal", json={"fields": ["email"], **WHY})
    assert answer.json()["traits"] == {"email": "zoe@post.example"}
    async with asyncio.timeout(5), committed.read() as session:
        assert len(await trail(session)) == 1
