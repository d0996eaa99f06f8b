"""Traits: by event time, one spelling, whatever the order of arrival."""

import operator
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.contracts.profile import TraitsChanged
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.testing.events import identified, tracked
from perennial.profile.traits import queries, service
from perennial.profile.traits.queries import Words as Kept
from perennial.profile.traits.service import Heard

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


async def traits(get: Show, via: UUID) -> Any:
    return (await get(f"/v1/customers/{via}"))["traits"]


async def test_a_late_event_never_overwrites_a_newer_value(hear: Hear, get: Show) -> None:
    via = uuid7()
    await hear(identified({"city": "Paris", "plan": "pro"}, via=via, at=at(10)))
    await hear(identified({"city": "Rome", "age": 40}, via=via, at=at(5)))
    assert await traits(get, via) == {"city": "Paris", "plan": "pro", "age": 40}


async def test_a_late_event_does_not_slip_between_two_that_said_the_same(hear: Hear, get: Show) -> None:
    via = uuid7()
    for minutes, city in ((1, "Paris"), (9, "Paris"), (5, "Rome")):
        await hear(identified({"city": city}, via=via, at=at(minutes)))
    assert await traits(get, via) == {"city": "Paris"}


async def test_null_clears_a_trait_and_stays_cleared_for_older_words(hear: Hear, get: Show) -> None:
    via = uuid7()
    await hear(identified({"email": "ada@example.com", "plan": "pro"}, via=via, at=at(1)))
    await hear(identified({"email": None}, via=via, at=at(3)))
    await hear(identified({"email": "old@example.com"}, via=via, at=at(2)))
    shown = await get(f"/v1/customers/{via}")
    assert (shown["traits"], list(shown["trait_details"])) == ({"plan": "pro"}, ["plan"])


async def test_camel_case_and_snake_case_are_one_trait(hear: Hear, get: Show) -> None:
    via = uuid7()
    await hear(identified({"firstName": "Ada", "createdAt": "2020"}, via=via, at=at(1)))
    await hear(identified({"first_name": "Augusta", "address": {"postalCode": "1"}}, via=via, at=at(2)))
    shown = await get(f"/v1/customers/{via}")
    assert shown["traits"] == {"first_name": "Augusta", "created_at": "2020", "address": {"postalCode": "1"}}
    assert shown["trait_details"]["first_name"] == {
        "value": "Augusta",
        "at": "2026-05-01T12:02:00Z",
        "source": "shop",
    }


async def test_context_traits_count_in_identify_under_traits_and_nowhere_else(hear: Hear, get: Show) -> None:
    via = uuid7()
    hinting = tracked("Signed Up", via=via, at=at(1))
    hint = b'{"type":"track","event":"Signed Up","context":{"traits":{"plan":"free"}}}'
    both = b'{"type":"identify","traits":{"firstName":"Ada"},"context":{"traits":{"first_name":"X","plan":"pro"}}}'
    odd = b'{"type":"identify","traits":null,"context":{"traits":["no object"]}}'
    await hear(with_body(hinting, hint))
    assert await traits(get, via) == {}
    await hear(with_body(identified({}, via=via, at=at(2)), both), with_body(identified({}, via=via, at=at(3)), odd))
    assert await traits(get, via) == {"first_name": "Ada", "plan": "pro"}


def with_body(event: ResolvedEvent, body: bytes) -> ResolvedEvent:
    return msgspec.structs.replace(event, body=msgspec.Raw(body))


async def test_values_stay_the_json_they_were_sent_as(hear: Hear, get: Show) -> None:
    via = uuid7()
    sent = {"zh": "王小明", "n": 1.5, "big": 12345678901234567890123, "list": [1, {"a": None}], "no": False, "": "x"}
    await hear(identified(sent | {"k" * 300: "too long a name for a trait"}, via=via))
    del sent[""]
    assert await traits(get, via) == sent


async def test_ties_are_broken_by_source_and_message(hear: Hear, get: Show) -> None:
    via = uuid7()
    said = [
        identified({"plan": f"{source}{message}"}, via=via, at=NOON, source=source, message_id=f"{source}{message}")
        for source in ("a", "B")
        for message in ("1", "é", "z")
    ]
    random.shuffle(said)
    for event in said:
        await hear(event)
    assert await traits(get, via) == {"plan": "aé"}


Words = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["shop", "app"]), st.dictionaries(
            st.sampled_from(["plan", "firstName", "first_name"]), st.sampled_from([None, "a", "b", 1]), max_size=3
        ),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


def spoken(words: list[Any], vias: list[UUID]) -> list[ResolvedEvent]:
    return [
        identified(said, via=vias[n % len(vias)], at=at(minutes), source=source, message_id=f"m{n}")
        for n, (minutes, source, said) in enumerate(words)
    ]


@given(words=Words, seed=st.randoms(use_true_random=False), cut=st.integers(1, 8))
def test_shuffled_events_leave_the_same_words(words: list[Any], seed: random.Random, cut: int) -> None:
    vias = [UUID(int=1), UUID(int=2)]
    events = spoken(words, vias)
    shuffled = events + events[:cut]
    seed.shuffle(shuffled)
    assert kept(shuffled) == kept(events)


def kept(events: list[ResolvedEvent]) -> list[Kept]:
    heard = Heard()
    for event in events:
        heard.hear(event)
    return heard.words()


async def test_shuffled_batches_write_the_same_rows(begun: WriteSession) -> None:
    """The same, through the database: many histories at once, each under identifiers of its own."""
    chance = random.Random(7)
    expected: list[Kept] = []
    events: list[ResolvedEvent] = []
    for _ in range(60):
        words = [
            (chance.randrange(4), chance.choice(["shop", "app"]), {chance.choice("ab"): chance.choice([None, 1, 2])})
            for _ in range(12)
        ]
        history = spoken(words, [uuid7(), uuid7()])
        expected += kept(history)
        events += history + history[:2]
    chance.shuffle(events)
    while events:
        size = chance.randrange(1, 40)
        await service.record(begun, events[:size])
        del events[:size]
    rows = await begun.execute(
        text("""SELECT via, key, source, value::text, at, message_id, first_value::text, first_at, first_message_id
                FROM trait ORDER BY via, key, source""")
    )
    assert [tuple(row) for row in rows] == sorted(map(queries._columns, expected), key=operator.itemgetter(0, 1, 2))


@pytest.fixture
def emitted(session: WriteSession) -> Callable[[], Awaitable[list[Any]]]:
    async def read() -> list[Any]:
        rows = await session.execute(text("SELECT subject, convert_from(body, 'UTF8')::jsonb FROM outbox ORDER BY id"))
        return [body for subject, body in rows if subject == TraitsChanged.subject]

    return read


async def test_traits_changed_only_for_live_events_that_changed_one(
    hear: Hear, emitted: Callable[[], Awaitable[list[Any]]]
) -> None:
    via = uuid7()
    await hear(identified({"plan": "free", "score": 1.0}, via=via, at=at(0), live=False))
    assert await emitted() == []
    await hear(identified({"plan": "pro", "score": 1.0, "nothing": None}, via=via, at=at(2)))
    await hear(identified({"plan": "pro"}, via=via, at=at(3)), identified({"plan": "late"}, via=via, at=at(1)))
    await hear(identified({"plan": None}, via=via, at=at(4)))
    said = [(item["via"], item["customer"], item["traits"]) for item in await emitted()]
    assert said == [(str(via), str(via), {"plan": "pro"}), (str(via), str(via), {"plan": None})]


async def test_what_another_identifier_said_later_is_not_changed(
    hear: Hear, emitted: Callable[[], Awaitable[list[Any]]]
) -> None:
    via, other = uuid7(), uuid7()
    await hear(identified({"plan": "pro"}, via=via, at=at(5), live=False))
    await hear(identified({"plan": "free"}, via=other, customer=via, at=at(3)))
    assert await emitted() == []
    await hear(identified({"plan": "vip", "city": "Rome"}, via=other, customer=via, at=at(6)))
    [said] = await emitted()
    assert (said["via"], said["customer"], said["traits"]) == (str(other), str(via), {"plan": "vip", "city": "Rome"})
