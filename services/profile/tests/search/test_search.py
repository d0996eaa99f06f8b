"""Lists of customers: found by name, identifier, tag, stage, segment and trait, in stable pages of any order."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.segments import Membership, MembershipsChanged
from perennial.common.identifiers import blind_index
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified
from perennial.common.web.cursors import encode_cursor
from perennial.profile.search import queries

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Assign = Callable[..., Awaitable[None]]
Derive = Callable[[], Awaitable[None]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


People = Callable[..., Awaitable[list[UUID]]]
Pages = Callable[..., Awaitable[list[list[Any]]]]
Names = Callable[..., Awaitable[list[Any]]]


async def test_the_very_name_then_its_beginnings_then_what_resembles_it(people: People, names: Names) -> None:
    await people(*({"name": said} for said in ("Wei Lin", "Anna Lin", "Lin", "Linda May", "Lind", "Lyn", "Bob")))
    assert await names(q="lin") == ["Lin", "Anna Lin", "Lind", "Linda May", "Wei Lin"]
    assert (await names(q="lnda may"))[0] == "Linda May"
    assert await names(q="zzz") == await names(q="?!") == []


async def test_chinese_names_by_signs_sound_and_initials(people: People, names: Names) -> None:
    await people(*({"name": said} for said in ("张伟", "张玮", "张三", "王伟", "Zhang Wei", "李雷")))
    heard = await names(q="张伟")
    assert (heard[0], {*heard[1:]}) == ("张伟", {"张玮", "Zhang Wei"})
    assert await names(q="张") == ["张三", "张伟", "张玮", "Zhang Wei"]
    assert {*(await names(q="zhang wei"))[:3]} == {"张伟", "张玮", "Zhang Wei"}
    assert {*await names(q="zw")} == {"张伟", "张玮"}
    assert {*await names(q="伟")} >= {"张伟", "王伟"}


async def test_an_identifier_of_any_kind_in_any_spelling(people: People, names: Names, assign: Assign) -> None:
    [ada, bob] = await people({"name": "Ada"}, {"name": "Bob ada@example.com's friend", "plan": "x"})
    key = bytes.fromhex("11" * 32)
    for kind, value, whose in (
        ("email", "ada@example.com", ada), ("phone", "+14155550100", ada), ("user_id", "u-7", bob),
    ):  # fmt: skip
        await assign(whose, uuid7(), version=1, kind=kind, digest=blind_index(key, kind, value).hex())
    assert await names(q="ADA@example.com ") == await names(q="(415) 555-0100") == await names(q="+1 415 555 0100")
    assert await names(q="+1 415 555 0100") == ["Ada"]
    assert [name[:3] for name in await names(q="u-7")] == ["Bob"]
    assert await names(q="ada@example.co") == await names(q="friend") == []


async def test_names_change_and_are_forgotten(hear: Hear, names: Names, assign: Assign) -> None:
    one, other = uuid7(), uuid7()
    await hear(identified({"name": "Ada"}, via=one, at=NOON), identified({"name": "Bob"}, via=other, at=NOON))
    await hear(identified({"name": "Eve"}, via=one, at=NOON + timedelta(hours=1)))
    assert (await names(q="ada"), await names(q="eve")) == ([], ["Eve"])
    await assign(other, one, version=2)
    assert (await names(q="eve"), await names(q="bob")) == (["Eve"], [])
    await assign(one, one, version=3)
    assert (await names(q="eve"), await names(q="bob")) == (["Eve"], ["Bob"])
    await hear(identified({"name": None}, via=one, at=NOON + timedelta(hours=2)))
    assert await names(q="eve") == []


async def test_masked_names_are_not_found(people: People, client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    await people({"name": "Ada", "first_name": "Augusta", "last_name": "King", "company": "Engines"})

    async def found(fields: list[str], **asked: str) -> int:
        headers = {"Authorization": f"Bearer {token('customers:read', fields=fields)}"}
        answer = await client.get("/v1/customers", params=asked, headers=headers)
        return len(answer.json()["items"]) if answer.status_code == 200 else answer.status_code

    told = {
        (): {"ada": 0, "augusta": 0, "engines": 1},
        ("first_name",): {"augusta": 1, "augusta king": 1, "king": 0, "augu": 1, "augusti": 1, "kingg": 0},
        ("name",): {"ada": 1, "augusta": 0},
        ("personal",): {"ada": 1, "augusta king": 1, "king aug": 1},
    }
    for fields, wanted in told.items():
        assert {q: await found([*fields], q=q) for q in wanted} == wanted, fields
    assert await found([], sort="name") == await found(["name"], sort="-name") == 403
    assert await found([], sort="trait.salary") == await found([], **{"trait.salary": "5"}) == 403
    assert await found(["salary"], sort="trait.salary") == await found(["personal"], sort="name") == 1
    assert await found([], filter='{"trait": "name", "starts_with": "A"}') == 403
    assert await found([], **{"trait.city": "Rome"}) == 0


COMPUTED = """
    INSERT INTO computed_trait (key, labels, version, state, spec, served, pending)
    SELECT 'city_of_sale', '{}', 1, 'ready', spec, spec, false
    FROM CAST('{"function": "last", "events": ["A"], "property": "city"}' AS jsonb) AS spec"""


async def test_tags_stages_segments_and_traits(
    people: People, names: Names, runtime: Runtime, hear: Hear, derive: Derive
) -> None:
    ada, bob, eve = await people(
        {"name": "Ada", "city": "Rome", "age": 36, "address": {"zip": "5"}, "pets": ["cat", "dog"]},
        {"name": "Bob", "city": "Rome", "age": "17"},
        {"name": "Eve", "city": "Oslo", "vip": True, "born": "1990-01-01"},
    )
    segment = uuid7()
    said: dict[str, Any] = {"segment_id": segment, "segment_name": "S", "version": 1, "since": NOON}
    await hear(MembershipsChanged(memberships=[
        Membership(customer=ada, member=True, **said), Membership(customer=eve, member=False, **said),
    ]))  # fmt: skip
    await derive()
    async with runtime.database.write() as session:
        await session.execute(text(COMPUTED))
        for customer, tags, stage in ((ada, ["a", "b"], "loyal"), (bob, ["b"], "lost"), (eve, ["a"], None)):
            await session.execute(
                text("UPDATE customer SET tags = :tags, stage = :stage, computed = :c WHERE customer_id = :id"),
                {"tags": tags, "stage": stage, "id": customer, "c": '{"gmv": 9, "city_of_sale": "Bern"}'},
            )
    for asked, expected in (
        ({"tag": "b"}, ["Ada", "Bob"]),
        ({"tag": "a, b"}, ["Ada"]),
        ({"stage": "lost,loyal"}, ["Ada", "Bob"]),
        ({"segment": str(segment)}, ["Ada"]),
        ({"filter": f'{{"segment": "{segment}"}}'}, ["Ada"]),
        ({"filter": f'{{"not": {{"segment": "{segment}"}}}}'}, ["Bob", "Eve"]),
        ({"trait.city": "Rome"}, ["Ada", "Bob"]),
        ({"trait.city": "Rome", "trait.age[lt]": "20"}, ["Bob"]),
        ({"trait.city[in]": "Oslo,Bonn"}, ["Eve"]),
        ({"trait.city[is_not]": "Rome"}, ["Eve"]),
        ({"trait.age": "36"}, ["Ada"]),
        ({"trait.age": "17"}, ["Bob"]),
        ({"trait.age[is_not]": "17"}, ["Ada", "Eve"]),
        ({"trait.age[exists]": "false"}, ["Eve"]),
        ({"trait.vip": "true"}, ["Eve"]),
        ({"trait.pets[]": "dog"}, ["Ada"]),
        ({"trait.address.zip": "5"}, ["Ada"]),
        ({"trait.born[before]": "2000-01-01"}, ["Eve"]),
        ({"trait.city_of_sale": "Bern", "tag": "a"}, ["Ada", "Eve"]),
        ({"trait.gmv[gte]": "9"}, ["Ada", "Bob", "Eve"]),
        ({"trait.tags[]": "b", "trait.stage": "loyal"}, ["Ada"]),
        ({"filter": '{"any": [{"trait": "city", "is": "Oslo"}, {"trait": "age", "gt": 30}]}'}, ["Ada", "Eve"]),
        ({"filter": '{"everyone": true}', "q": "e"}, ["Eve"]),
        ({"tag": "b", "q": "b"}, ["Bob"]),
        ({"q": "b", "sort": "-name"}, ["Bob"]),
        ({"tag": "none"}, []),
        ({"sort": "-name"}, ["Eve", "Bob", "Ada"]),
        ({"sort": "trait.age"}, ["Bob", "Ada", "Eve"]),
        ({"sort": "-trait.age", "tag": "b"}, ["Ada", "Bob"]),
        ({"sort": "trait.gmv"}, ["Ada", "Bob", "Eve"]),
        ({"sort": "-id"}, ["Eve", "Bob", "Ada"]),
    ):
        assert await names(**asked) == expected, asked


async def test_filters_know_calendars_and_elements(people: People, names: Names) -> None:
    await people(
        {"name": "Ada", "joined": "1990-01-01", "timezone": "Asia/Shanghai", "cars": [{"make": "BYD", "year": 2024}]},
        {"name": "Bob", "joined": "1990-01-01"},
        {"name": "Eve", "joined": "2900-01-01", "timezone": "nowhere", "cars": [{"make": "BYD", "year": 2000}]},
    )
    for condition, expected in (
        ('{"trait": "joined", "within": {"last": "year", "count": 100}}', ["Ada", "Bob"]),
        ('{"trait": "joined", "within": {"next": "year", "count": 100}}', []),
        ('{"trait": "joined", "between": ["1990-01-01", "1990-01-02"]}', ["Ada", "Bob"]),
        ('{"trait": "joined", "birthday_within": 360}', None),
        ('{"any_of": "cars", "where": [{"property": "make", "is": "BYD"}, {"property": "year", "gt": 2020}]}', ["Ada"]),
    ):
        found = await names(filter=condition)
        assert expected is None or found == expected, condition


async def test_too_many_to_sort_by_a_trait_are_refused(
    people: People, client: httpx.AsyncClient, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SORTED", 2)
    monkeypatch.setattr(queries, "EXAMINED", 2)
    await people(*({"n": n, "city": "Rome" if n else "Oslo"} for n in range(4)))
    answer = await client.get("/v1/customers", params={"sort": "trait.n"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query/sort")
    narrow = await pages(**{"sort": "trait.n", "trait.city": "Rome"})
    assert [item["traits"]["n"] for page in narrow for item in page] == [1, 2, 3]


async def test_what_takes_too_long_is_said_to(
    people: People, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PATIENCE", "1ms")
    slow = "SELECT gen_random_uuid() FROM pg_sleep(1), unnest(CAST(:kinds AS text[]), CAST(:digests AS bytea[]))"
    monkeypatch.setattr(queries, "_IDENTIFIED", text(slow))
    answer = await client.get("/v1/customers", params={"q": "ada"})
    assert (answer.status_code, answer.json()["code"]) == (422, "search_too_broad")


def cursor_of(*key: Any) -> str:
    return encode_cursor(key)


BAD = [
    ({"filter": "x"}, "query/filter"),
    ({"filter": "{}"}, "query/filter"),
    ({"filter": '{"event": "A"}'}, "query/filter"),
    ({"filter": '{"sequence": [{"event": "A"}, {"event": "B"}]}'}, "query/filter"),
    ({"filter": '{"trait": "shop", "near": {"latitude": 1, "longitude": 2, "km": 3}}'}, "query/filter"),
    ({"filter": '{"all": [{"trait": "a", "is": null}]}'}, "query/filter/all/0"),
    ({"filter": "[" * 3000}, "query/filter"),
    ({"trait.a[gt]": "x"}, "query/trait.a[gt]"),
    ({"trait.a[like]": "x"}, "query/trait.a[like]"),
    ({"trait.a..b": "x"}, "query/trait.a..b"),
    ({f"trait.a{n}": "x" for n in range(21)}, "query"),
    ({"sort": "shoe"}, "query/sort"),
    ({"sort": "trait."}, "query/sort"),
    ({"sort": "trait.a[]"}, "query/sort"),
    ({"segment": "x"}, "query/segment"),
    ({"q": "a", "identifier": "user_id:1"}, "query/identifier"),
    ({"tag": "a", "identifier": "user_id:1"}, "query/identifier"),
    ({"cursor": cursor_of("id", 0, "x")}, "query/cursor"),
    ({"cursor": cursor_of("id", 0, "x", str(UUID(int=1)))}, "query/cursor"),
    ({"cursor": cursor_of("name", 0, "x", str(UUID(int=1)))}, "query/cursor"),
    ({"cursor": cursor_of("id", 1, str(UUID(int=1)), str(UUID(int=1)))}, "query/cursor"),
    ({"sort": "last_seen", "cursor": cursor_of("last_seen", 0, "soon", str(UUID(int=1)))}, "query/cursor"),
    ({"sort": "trait.n", "cursor": cursor_of("trait.n", 0, "many", str(UUID(int=1)))}, "query/cursor"),
    ({"q": "a", "cursor": cursor_of("relevance", 9, "a", str(UUID(int=1)))}, "query/cursor"),
    *(
        ({"sort": "trait.n", "cursor": cursor_of("trait.n", 0, said, str(UUID(int=1)))}, "query/cursor")
        for said in ("sNaN", "NaN12", "\uff11", "1_0", "1e999999999", " 1")
    ),
    *(
        ({"sort": "last_seen", "cursor": cursor_of("last_seen", 0, said, str(UUID(int=1)))}, "query/cursor")
        for said in ("2024-W01-1", "20240101T00", "2024-02-30 00:00:00+00", "2024-02-20 00:00:00+23")
    ),
    ({"cursor": cursor_of("id", 0, UUID(int=1).urn, str(UUID(int=1)))}, "query/cursor"),
    ({"filter": '{"trait": "a", "is": "\\u0000"}'}, "query/filter/is"),
    ({"filter": '{"trait": "a\\ud800", "is": "x"}'}, "query/filter/trait"),
    ({"filter": '{"trait": "a", "gt": 1e999999}'}, "query/filter/gt"),
    ({"filter": '{"trait": "a", "gt": NaN}'}, "query/filter/gt"),
    ({"filter": '{"trait": "a", "gt": ' + "9" * 5000 + "}"}, "query/filter"),
]


@pytest.mark.parametrize(("asked", "pointer"), BAD, ids=map(str, range(len(BAD))))
async def test_bad_wishes_are_named(
    people: People, client: httpx.AsyncClient, asked: dict[str, str], pointer: str
) -> None:
    await people({"n": 1})
    answer = await client.get("/v1/customers", params=asked)
    assert answer.status_code in {400, 422}, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
