"""Remember what happened, and count it; both commute, so order and batches do not matter."""

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from perennial.common import commerce
from perennial.common.contracts.hot import read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.profile.timeline import queries

LONGEST_NAME = 200
COUNTED_BY_TYPE = frozenset({"page", "screen"})

Row = tuple[object, ...]
_first = operator.itemgetter(0)
_canonical = functools.lru_cache(maxsize=4096)(commerce.canonical)


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Append the events to the timeline and add them to the counters of their identifiers."""
    ordered = sorted(events, key=lambda event: event.via.int)  # neighbours in the index on via
    await queries.ensure_months(session, months(event.timestamp for event in ordered))
    await queries.append(session, [_row(event) for event in ordered])
    await queries.count(session, counts(ordered))
    await queries.note_activity(session, activity(ordered))


def months(instants: Iterable[datetime]) -> list[date]:
    """The first day of each month, in UTC, that the instants fall in."""
    found = {(at.year, at.month) for at in (instant.astimezone(UTC) for instant in instants)}
    return [date(year, month, 1) for year, month in sorted(found)]


def name_of(event: ResolvedEvent) -> str | None:
    """The name an event is filed under: canonical for what was tracked."""
    return _canonical(event.name) if event.type == "track" and event.name is not None else event.name


def _row(event: ResolvedEvent) -> Row:
    return (
        event.id, event.via, event.source, event.message_id, event.type, name_of(event), event.timestamp,
        event.received_at, event.live, str(event.body, "utf-8"), event.sent_at,
    )  # fmt: skip


def counts(events: Iterable[ResolvedEvent]) -> list[Row]:
    """(via, name, count, first, last), sorted: what was tracked by its name, pages and screens by their type."""
    found: dict[tuple[int, str], _Count] = {}  # by the integer: hashing and comparing UUIDs is slow
    for event in events:
        counted = event.type if event.type in COUNTED_BY_TYPE else name_of(event) if event.type == "track" else None
        if counted is not None:
            key, at = (event.via.int, counted[:LONGEST_NAME]), event.timestamp
            count = found.get(key)
            if count is None:
                count = found[key] = _Count(event.via, at, at)
            count.add(at)
    return [
        (count.via, key[1], count.number, count.first, count.last) for key, count in sorted(found.items(), key=_first)
    ]


def activity(events: Iterable[ResolvedEvent]) -> list[Row]:
    """(via, events, first_seen, last_seen, latest), sorted."""
    found: dict[int, _Count] = {}
    for event in events:
        at = event.timestamp
        count = found.get(event.via.int)
        if count is None:
            count = found[event.via.int] = _Count(event.via, at, at)
        count.add(at)
        if (count.seen is None or count.seen < at) and is_active(event):
            count.seen = at
    return [
        (count.via, count.number, count.first, count.seen, count.last) for _, count in sorted(found.items(), key=_first)
    ]


@dataclass(slots=True)
class _Count:
    via: UUID
    first: datetime
    last: datetime
    number: int = 0
    seen: datetime | None = None

    def add(self, at: datetime) -> None:
        self.number += 1
        if at < self.first:
            self.first = at
        elif at > self.last:
            self.last = at


def is_active(event: ResolvedEvent) -> bool:
    """Whether the customer was there: `context.active` is not false."""
    if b'"active"' not in bytes(event.body):  # decoding every body would cost more than all else here
        return True
    return (read_body(event.body).context or {}).get("active") is not False
