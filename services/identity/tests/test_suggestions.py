"""Probable duplicates: what is remembered of people, what is suggested, and what a person makes of it."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.web.cursors import encode_cursor
from perennial.identity.decisions.service import Keys
from perennial.identity.suggestions import likeness, matching, queries, service
from perennial.identity.suggestions.pairs import FEWEST, Agreement, Pair

NOW = datetime.now(UTC) - timedelta(hours=1)
FIRST = [
    "olivia", "emma", "ava", "mia", "sofia", "noah", "liam", "oliver", "lucas", "ethan", "amelia", "harper", "evelyn",
    "jack", "levi", "mason", "nora", "hazel", "ellie", "leah", "wyatt", "asher", "caleb", "isaac", "ruby", "alice",
]  # fmt: skip
LAST = [
    "smith", "johnson", "williams", "brown", "jones", "garcia", "miller", "davis", "wilson", "anderson", "thomas",
    "taylor", "moore", "jackson", "martin", "thompson", "white", "lopez", "harris", "clark", "lewis", "walker", "young",
    "allen", "king", "wright", "scott", "torres", "nguyen", "hill", "flores", "green", "adams", "nelson", "baker",
]  # fmt: skip
STREETS = [
    "oak street",
    "maple avenue",
    "pine road",
    "cedar lane",
    "elm court",
    "lake drive",
    "hill terrace",
    "mill way",
]
CITIES = ["springfield", "riverside", "franklin", "greenville", "bristol", "clinton", "fairview", "salem", "madison"]


def said(**traits: Any) -> dict[str, str | None]:
    return likeness.said(msgspec.json.encode({"traits": traits}))


def test_a_person_is_read_from_traits_however_they_are_spelled() -> None:
    assert said(firstName="  Zoë ", last_name="O'Neill", birthday="1990-02-03T00:00:00Z", idNumber="AB 12-3") == {
        "first_name": "zoe",
        "last_name": "o neill",
        "birthday": "19900203",
        "id_number": "ab123",
    }
    assert said(name="Ann Mary Lee") == {"last_name": "lee", "first_name": "ann mary"}
    assert said(name="王小明") == {"last_name": "王", "first_name": "小明"}
    assert said(address={"street": "12b Oak Street", "city": "Springfield", "postalCode": "0123 4", "state": "NY"}) == {
        "number": "12b", "street": "oak street", "district": None, "city": "springfield", "postcode": "01234",
        "region": "ny",
    }  # fmt: skip
    assert said(address="Hauptstraße 5")["street"] == "hauptstrasse"


@pytest.mark.parametrize(
    "junk",
    [
        {"name": 5, "address": 7, "birthday": "yesterday"},
        {"name": None, "firstName": "N/A", "address": None},
        {"name": ["x"], "address": {"street": {"a": 1}, "city": ["x"], "postalCode": 12345}},
        {"name": "\ud7ff" * 10_000, "birthday": {"$date": 1}},
    ],
)
def test_junk_is_no_error(junk: dict[str, Any]) -> None:
    for value in said(**junk).values():
        assert value is None or len(value) <= likeness.LONGEST
    assert likeness.said(b'{"traits": "x", "context": 5}') == {}
    assert likeness.said(b'{"traits": 1%b, "context": 1e9}' % (b"0" * 400)) == {}


def test_an_address_and_a_number_have_parts_that_stay_the_same() -> None:
    assert likeness.of_identifier("email", "ann.lee+shop@example.com") == ("email_name", "annlee")
    assert likeness.of_identifier("phone", "+8613812345678") == ("phone_tail", "2345678")
    assert likeness.of_identifier("device_id", "1234567890") is None


def people(count: int, seed: int = 7) -> list[dict[str, str | None]]:
    """So many people, and a second, misspelled record for every tenth: `<n>` and `<n>-again`."""
    chance = random.Random(seed)
    made: list[dict[str, str | None]] = []
    for number in range(count):
        person: dict[str, str | None] = {
            "first_name": chance.choice(FIRST), "last_name": chance.choice(LAST), "number": str(chance.randint(1, 400)),
            "street": chance.choice(STREETS), "city": chance.choice(CITIES),
            "postcode": str(chance.randint(10000, 10400)),
            "birthday": f"{chance.randint(1950, 2005)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}",
        }  # fmt: skip
        made.append({"id": f"{number:05}", **person})
        if number % 10 == 0:
            last = str(person["last_name"])
            made.append({"id": f"{number:05}-again", **person, "last_name": last[:-1] + "x", "number": None})
    return made


def test_misspelled_people_are_found_and_strangers_are_not_and_twice_the_same() -> None:
    records = people(1000)
    found = matching.match(records)
    pairs = {(pair.low, pair.high) for pair in found}
    true = {(f"{number:05}", f"{number:05}-again") for number in range(0, 1000, 10)}
    assert len(pairs & true) >= 95
    assert len(pairs - true) <= 1
    assert found == matching.match(list(reversed(records)))
    assert found[0].fields["birthday"].level == "equal"
    assert found[0].fields["birthday"].weight > 5
    assert {pair.fields["last_name"].level for pair in found if pair.high.endswith("again")} == {"similar"}


def test_too_few_or_nameless_records_say_nothing() -> None:
    assert matching.match(people(FEWEST // 2)) == []
    assert matching.match([{"id": str(number), "city": "x"} for number in range(FEWEST)]) == []


async def test_what_was_said_last_counts_and_is_not_readable_at_rest(
    session: WriteSession, decided: Callable[..., Awaitable[Any]], accept: Any, keys: Keys
) -> None:
    first = accept(kind="identify", at=NOW, userId="u1", traits={"firstName": "Ann", "lastName": "Lee"})
    late = accept(
        kind="identify", at=NOW - timedelta(days=1), userId="u1", traits={"lastName": "Smith", "birthday": "1990-01-02"}
    )
    (event,) = await decided(first)
    await decided(late)
    assert [record async for record in service.records(session, keys.vault)] == [
        {"id": str(event.customer), "first_name": "ann", "last_name": "lee", "birthday": "19900102"}
    ]
    cleared = accept(
        kind="identify", at=NOW + timedelta(minutes=1), userId="u1", traits={"birthday": None, "firstName": "Anna"}
    )
    await decided(cleared)
    (record,) = [record async for record in service.records(session, keys.vault)]
    assert (record["first_name"], record.get("birthday")) == ("anna", None)
    dumped = (await session.execute(text("SELECT string_agg(likeness::text, ' ') FROM likeness"))).scalar_one()
    assert b"lee".hex() not in dumped
    assert "lee" not in dumped


async def test_a_merged_customer_is_one_record_with_both_sides(
    session: WriteSession, decided: Callable[..., Awaitable[Any]], accept: Any, keys: Keys
) -> None:
    await decided(accept(kind="identify", at=NOW, anonymousId="a1", traits={"firstName": "Ann", "lastName": "Lee"}))
    await decided(
        accept(kind="identify", userId="u1", traits={"email": "Ann.Lee@example.com", "birthday": "1990-01-02"})
    )
    assert len([record async for record in service.records(session, keys.vault)]) == 1
    await decided(accept(userId="u1", anonymousId="a1"))
    (record,) = [record async for record in service.records(session, keys.vault)]
    assert record["email_name"] == "annlee"
    assert (record["last_name"], record["birthday"]) == ("lee", "19900102")


async def two(decided: Callable[..., Awaitable[Any]], accept: Any, *names: str) -> list[UUID]:
    events = await decided(*(accept(anonymousId=name) for name in names))
    return [event.customer for event in events]


def pair(one: UUID, other: UUID, weight: float = 9.5) -> Pair:
    low, high = sorted((str(one), str(other)))
    return Pair(low, high, weight, 0.99, {"last_name": Agreement("similar", 4.5)})


async def test_approving_merges_and_is_done_once(
    session: WriteSession, client: httpx.AsyncClient, decided: Callable[..., Awaitable[Any]], accept: Any
) -> None:
    one, other = await two(decided, accept, "a", "b")
    await queries.suggest(session, [pair(one, other)])
    (shown,) = (await client.get("/v1/suggestions")).json()["items"]
    assert shown["fields"] == {"last_name": {"level": "similar", "weight": 4.5}}
    path = f"/v1/suggestions/{shown['id']}"
    answer = await client.post(f"{path}/approve", json={"reason": "same family card"})
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["decided_by"]) == ("approved", "api_key:tester")
    merged = (await client.get(f"/v1/merges/{answer.json()['merge_id']}")).json()
    assert {merged["survivor"], merged["merged"]} == {str(one), str(other)}
    assert (await client.post(f"{path}/reject", json={"reason": "no"})).json()["code"] == "already_decided"
    trail = await session.execute(text("SELECT action FROM audit ORDER BY id"))
    assert list(trail.scalars()) == ["merge.created", "suggestion.approved"]


async def test_a_rejection_is_remembered_whoever_they_are_merged_with(
    session: WriteSession, client: httpx.AsyncClient, decided: Callable[..., Awaitable[Any]], accept: Any
) -> None:
    one, other, third = await two(decided, accept, "a", "b", "c")
    await queries.suggest(session, [pair(one, other)])
    (shown,) = (await client.get("/v1/suggestions")).json()["items"]
    await client.post(f"/v1/suggestions/{shown['id']}/reject", json={"reason": "mother and daughter"})
    await client.post("/v1/merges", json={"customer_ids": [str(third), str(one)], "reason": "x"})
    left = pair(one, UUID(int=1))
    assert await queries.undecided(session, [pair(one, other), left]) == [left]
    await queries.suggest(session, [pair(one, other)])
    assert (await client.get("/v1/suggestions")).json()["items"] == []


async def test_what_is_found_no_more_is_withdrawn_and_may_come_back(
    session: WriteSession, client: httpx.AsyncClient, decided: Callable[..., Awaitable[Any]], accept: Any
) -> None:
    one, other, third = await two(decided, accept, "a", "b", "c")
    await queries.suggest(session, [pair(one, other, 8), pair(other, third, 9)])
    first = (await client.get("/v1/suggestions", params={"limit": 1})).json()
    rest = (await client.get("/v1/suggestions", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [item["weight"] for item in first["items"] + rest["items"]] == [9, 8]
    assert rest["next_cursor"] is None
    await queries.suggest(session, [pair(one, other, 8)])
    assert [item["weight"] for item in (await client.get("/v1/suggestions")).json()["items"]] == [8]
    await queries.suggest(session, [pair(other, third, 7)])
    assert [item["weight"] for item in (await client.get("/v1/suggestions")).json()["items"]] == [7]
    found = (await client.get("/v1/suggestions", params={"state": "withdrawn", "customer_id": str(one)})).json()
    assert [item["weight"] for item in found["items"]] == [8]


async def test_two_that_have_names_of_their_own_cannot_be_approved(
    session: WriteSession, client: httpx.AsyncClient, decided: Callable[..., Awaitable[Any]], accept: Any
) -> None:
    events = await decided(accept(userId="u1"), accept(userId="u2"))
    await queries.suggest(session, [pair(events[0].customer, events[1].customer)])
    (shown,) = (await client.get("/v1/suggestions")).json()["items"]
    answer = await client.post(f"/v1/suggestions/{shown['id']}/approve", json={"reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "two_user_ids")
    assert (await client.get(f"/v1/suggestions/{shown['id']}")).json()["state"] == "pending"


async def test_bad_input_is_named(client: httpx.AsyncClient) -> None:
    missing = f"/v1/suggestions/{UUID(int=1)}"
    assert (await client.get(missing)).status_code == 404
    assert (await client.post(f"{missing}/approve", json={"reason": "x"})).status_code == 404
    assert (await client.post(f"{missing}/approve", json={"reason": " "})).status_code == 422
    assert (await client.get("/v1/suggestions", params={"state": "x"})).status_code == 422
    assert (await client.get("/v1/suggestions", params={"cursor": "WzFd"})).json()["code"] == "bad_cursor"
    for weight in ("1e300", "-inf", "nan", 7):
        cursor = encode_cursor([weight, UUID(int=1)])
        assert (await client.get("/v1/suggestions", params={"cursor": cursor})).json()["code"] == "bad_cursor"
    assert (await client.get("/v1/suggestions", params={"cursor": encode_cursor(["-7.25", UUID(int=1)])})).is_success
