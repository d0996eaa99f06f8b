"""However events are shuffled, repeated and cut into pulls, the map is what a plain oracle says."""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import WriteSession
from perennial.common.identifiers import KINDS
from perennial.common.problems import Conflict
from perennial.identity.decisions.service import Arrival, Keys, decide
from perennial.identity.merges import service as merges

EXAMPLES = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FIELDS = {"user_id": "userId", "anonymous_id": "anonymousId"}
STAFF = Principal("staff", "oracle", frozenset({"*"}))


class Sent(NamedTuple):
    """An event as a set of identifiers `kind:value`."""

    name: str
    identifiers: frozenset[str]

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"context": {"externalIds": []}}
        for identifier in sorted(self.identifiers):
            kind, value = identifier.split(":", 1)
            if kind in FIELDS and FIELDS[kind] not in body:
                body[FIELDS[kind]] = value
            else:
                body["context"]["externalIds"].append({"type": kind, "id": value})
        return body

    def strongest_first(self) -> list[str]:
        return sorted(self.identifiers, key=lambda identifier: (KINDS[identifier.split(":")[0]].rank, identifier))


def oracle(events: Sequence[Sent]) -> set[frozenset[str]]:
    """Customers as sets of identifiers, one event after the other, with nothing clever."""
    customer_of: dict[str, set[str]] = {}
    for event in events:
        first, *others = event.strongest_first()
        base = customer_of.setdefault(first, {first})
        for identifier in others:
            other = customer_of.setdefault(identifier, {identifier})
            if other is base or any(
                sum(one.startswith(f"{kind}:") for one in base | other) > KINDS[kind].limit for kind in KINDS
            ):
                continue
            base |= other
            for one in other:
                customer_of[one] = base
    return {frozenset(customer) for customer in customer_of.values()}


def identifiers(kinds: Sequence[str], values: int) -> st.SearchStrategy[frozenset[str]]:
    one = st.builds(
        lambda kind, value: f"{kind}:v{value}{'@x.cn' if kind == 'email' else ''}",
        st.sampled_from(kinds),
        st.integers(1, values),
    )
    return st.frozensets(one, min_size=1, max_size=4)


def histories(kinds: Sequence[str], values: int) -> st.SearchStrategy[list[Sent]]:
    return st.lists(identifiers(kinds, values), min_size=1, max_size=25).map(
        lambda found: [Sent(f"m{number}", one) for number, one in enumerate(found)]
    )


Run = Callable[[Sequence[Sequence[Sent]]], Awaitable[tuple[set[frozenset[str]], dict[str, UUID]]]]


@pytest.fixture
def run(session: WriteSession, keys: Keys, accept: Any, whole: Any) -> Run:
    """Decide pulls one after the other in a savepoint: the customers, and the identifier of each event."""

    async def decided(pulls: Sequence[Sequence[Sent]]) -> tuple[set[frozenset[str]], dict[str, UUID]]:
        savepoint = await session.begin_nested()
        vias: dict[str, UUID] = {}
        for number, pull in enumerate(pulls):
            events = [accept(message_id=sent.name, **sent.body()) for sent in pull]
            arrivals = Arrival.of(EventsAccepted("shop", events), number)
            for event in await decide(session, arrivals, keys, datetime.now(UTC)):
                assert event.message_id not in vias
                vias[event.message_id] = event.via
        await whole(session)
        names = await readable(session, keys)
        rows = await session.execute(text("SELECT via, customer_id FROM identity_map"))
        found: dict[UUID, set[str]] = {}
        for via, customer in rows:
            found.setdefault(customer, set()).add(names[via])
        await savepoint.rollback()
        return {frozenset(customer) for customer in found.values()}, vias

    return decided


async def readable(session: WriteSession, keys: Keys) -> dict[UUID, str]:
    rows = await session.execute(text("SELECT id, kind, sealed, digest FROM identifier"))
    return {row[0]: f"{row[1]}:{keys.vault.open(row[2], row[3])}" for row in rows}


def cut(events: list[Sent], cuts: list[int]) -> list[list[Sent]]:
    edges = sorted({0, len(events), *(cut % (len(events) + 1) for cut in cuts)})
    return [events[start:end] for start, end in itertools.pairwise(edges)]


@EXAMPLES
@given(
    history=histories(["user_id", "email", "device_id", "anonymous_id"], 7),
    cuts=st.lists(st.integers(0, 30), max_size=6),
    repeats=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), max_size=10),
)
async def test_pulls_and_repeats_change_nothing(
    run: Run, history: list[Sent], cuts: list[int], repeats: list[tuple[int, int]]
) -> None:
    with_repeats = list(history)
    for which, after in repeats:
        sent = history[which % len(history)]
        first = with_repeats.index(sent)
        with_repeats.insert(first + 1 + after % (len(with_repeats) - first), sent)
    customers, vias = await run(cut(with_repeats, cuts))
    assert customers == oracle(history)
    assert set(vias) == {sent.name for sent in history}


@EXAMPLES
@given(
    history=histories(["email", "member_id", "anonymous_id"], 4),
    order=st.randoms(use_true_random=False),
    cuts=st.lists(st.integers(0, 30), max_size=4),
)
async def test_where_no_limit_is_crossed_the_order_does_not_matter(
    run: Run, history: list[Sent], order: Any, cuts: list[int]
) -> None:
    shuffled = list(history)
    order.shuffle(shuffled)
    assert (await run(cut(shuffled, cuts)))[0] == oracle(history)


@EXAMPLES
@given(
    people=st.integers(2, 6),
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
)
async def test_undoing_every_merge_in_any_order_brings_everybody_back(
    session: WriteSession, keys: Keys, accept: Any, whole: Any, people: int, pairs: list[tuple[int, int]], order: Any
) -> None:
    savepoint = await session.begin_nested()
    tag = uuid4().hex
    events = [accept(anonymousId=f"{tag}{n}", context={"device": {"id": f"{tag}{n}"}}) for n in range(people)]
    ones = await decide(session, Arrival.of(EventsAccepted("shop", events), 1), keys, datetime.now(UTC))
    before = await the_map(session)
    made = []
    for a, b in pairs:
        try:
            made.append(await merges.merge(session, [ones[a % people].customer, ones[b % people].customer], "x", STAFF))
        except Conflict as conflict:
            assert conflict.code == "same_customer"  # noqa: PT017 (the other outcome is fine too)
        await whole(session)
    order.shuffle(made)
    for merge_id in made:
        await merges.undo(session, merge_id, "x", STAFF)
        await whole(session)
    assert await the_map(session) == before
    await savepoint.rollback()


async def the_map(session: WriteSession) -> dict[UUID, UUID]:
    rows = await session.execute(text("SELECT via, customer_id FROM identity_map"))
    return {via: customer for via, customer in rows}  # noqa: C416 (rows are not pairs for mypy)
