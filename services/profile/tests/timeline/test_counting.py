"""What is counted of events, by name and in all: however they are cut into batches, it is what each of them adds."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.profile.timeline import queries, service
from perennial.profile.timeline.service import Said

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WORD = "back\\slash"

said = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["Product Viewed", "page", "", WORD, None]),
    st.integers(-3, 3).map(lambda hours: NOON + timedelta(hours=hours, microseconds=hours)),
    st.booleans(),
    st.sampled_from(["web", "app", "till"]),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(events=st.lists(said, min_size=1, max_size=24), cuts=st.sets(st.integers(1, 23), max_size=3))
async def test_counts_are_what_each_event_adds(
    begun: WriteSession, events: list[tuple[int, Any, Any, Any, Any]], cuts: set[int]
) -> None:
    vias = sorted((uuid7() for _ in range(4)), key=lambda via: via.int)
    whole: list[Said] = [(vias[number], *rest) for number, *rest in events]
    ends = [0, *sorted(cuts), len(whole)]
    async with begun.begin_nested() as savepoint:
        for start, end in itertools.pairwise(ends):
            batch = sorted(whole[start:end], key=lambda item: item[0].int)
            if batch:
                await queries.count(begun, service.totals(batch))
        assert await _rows(begun, "SELECT via, name, count, first, last FROM counter", vias) == sorted(_counters(whole))
        found = await _rows(begun, "SELECT via, events, first_seen, last_seen, latest, sources FROM activity", vias)
        assert [(*row[:5], sorted(row[5])) for row in found] == sorted(_activities(whole), key=lambda row: row[0].int)
        await savepoint.rollback()


async def test_names_that_clients_make_up_fill_no_memory(session: WriteSession) -> None:
    events = [tracked(f"{n}{'客' * 300}", {}) for n in range(5)]
    known = [cached.cache_info().currsize for cached in (service._filed, queries._words)]
    await session.execute(text("SELECT 1"))
    await service.record(session, events)
    assert [cached.cache_info().currsize for cached in (service._filed, queries._words)] == known
    names = await session.execute(
        text("SELECT name FROM event WHERE via = ANY(:vias)"), {"vias": [event.via for event in events]}
    )
    assert set(names.scalars()) == {event.name for event in events}


async def _rows(session: WriteSession, asked: str, vias: Sequence[UUID]) -> list[tuple[Any, ...]]:
    rows = await session.execute(text(f"{asked} WHERE via = ANY(:vias) ORDER BY 1, 2"), {"vias": list(vias)})
    return sorted((UUID(int=row[0].int), *row[1:]) for row in rows)


def _counters(whole: Iterable[Said]) -> Iterable[tuple[Any, ...]]:
    whole = list(whole)
    for via, name in {(item[0], item[1]) for item in whole if item[1] is not None}:
        ats = [item[2] for item in whole if item[:2] == (via, name)]
        yield via, name, len(ats), min(ats), max(ats)


def _activities(whole: Iterable[Said]) -> Iterable[tuple[Any, ...]]:
    whole = list(whole)
    for via in {item[0] for item in whole}:
        mine = [item for item in whole if item[0] == via]
        ats, seen = [item[2] for item in mine], [item[2] for item in mine if item[3]]
        yield via, len(mine), min(ats), max(seen, default=None), max(ats), sorted({item[4] for item in mine})
