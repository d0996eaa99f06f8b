"""Remember what happened, and count it; both commute, so order and batches do not matter."""

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from opentelemetry import metrics

from perennial.common import commerce
from perennial.common.contracts.hot import read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.profile.timeline import kinds, queries
from perennial.profile.traits import sealing

LONGEST_NAME = 200
COUNTED_BY_TYPE = frozenset({"page", "screen"})
AHEAD = timedelta(days=366)
SEPARATOR = "\x1f"
AT, RECEIVED, CLASS = (queries.COLUMNS.index(name) for name in ("timestamp", "received_at", "data_class"))

Row = tuple[Any, ...]
_first, _via = operator.itemgetter(0), operator.attrgetter("via")
_canonical = functools.lru_cache(maxsize=4096)(commerce.canonical)
expired = metrics.get_meter("perennial").create_counter(
    "perennial.timeline.expired", description="Occurrences too old to be kept."
)


@dataclass(slots=True, frozen=True)
class Said:
    """An event, with the name it is filed under and when it happened."""

    event: ResolvedEvent
    name: str | None
    at: datetime
    via: int


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Append the events to the timeline and add them to the counters of their identifiers."""
    said = [Said(event, name_of(event), happened(event), event.via.int) for event in events]
    said.sort(key=_via)  # neighbours in the index on via
    sealer = await sealing.sealer(session)
    await append(session, [_row(item, sealer) for item in said])
    await queries.count(session, counts(said))
    await queries.note_activity(session, activity(said))


async def append(session: WriteSession, rows: Iterable[Row]) -> None:
    """Append rows in the order of COLUMNS, partition after partition, but for those that are too old to be kept."""
    parts: dict[queries.Part, list[Row]] = {}
    for row in rows:
        parts.setdefault((month_of(row[AT]), row[CLASS]), []).append(row)
    wanted = {part: max(row[RECEIVED] for row in parts[part]) for part in sorted(parts)}
    kept = await queries.ensure_parts(session, wanted)
    fitting = [row for part in sorted(kept) for row in parts[part]]
    if fitting:
        await queries.append(session, fitting)
    expired.add(sum(map(len, parts.values())) - len(fitting))


def month_of(at: datetime) -> date:
    """The first day of an instant's month, in UTC."""
    at = at.astimezone(UTC)
    return date(at.year, at.month, 1)


def happened(event: ResolvedEvent) -> datetime:
    """When an event happened; one from a clock that is years ahead happened when it was received."""
    return event.timestamp if event.timestamp <= event.received_at + AHEAD else event.received_at


def name_of(event: ResolvedEvent) -> str | None:
    """The name an event is filed under: canonical for what was tracked."""
    return _canonical(event.name) if event.type == "track" and event.name is not None else event.name


def _row(said: Said, sealer: sealing.Sealer) -> Row:
    event = said.event
    return (
        event.id, event.via, event.source, event.message_id, event.type, said.name, said.at, event.received_at,
        event.live, sealer.body(event), event.sent_at, kinds.class_of_event(event.type, said.name),
    )  # fmt: skip


def counts(said: Iterable[Said]) -> list[Row]:
    """(via, name, count, first, last), sorted: what was tracked by its name, pages and screens by their type."""
    found: dict[tuple[int, str], _Count] = {}  # by the integer: hashing and comparing UUIDs is slow
    for item in said:
        type_ = item.event.type
        counted = type_ if type_ in COUNTED_BY_TYPE else item.name if type_ == "track" else None
        if counted is not None:
            key = (item.via, counted[:LONGEST_NAME])
            count = found.get(key)
            if count is None:
                found[key] = _Count(item.event.via, item.at, item.at)
            else:
                count.add(item.at)
    return [
        (count.via, key[1], count.number, count.first, count.last) for key, count in sorted(found.items(), key=_first)
    ]


def activity(said: Iterable[Said]) -> list[Row]:
    """(via, events, first_seen, last_seen, latest, sources), in the order in which they come."""
    found: dict[int, _Count] = {}
    for item in said:
        event, at = item.event, item.at
        count = found.get(item.via)
        if count is None:
            count = found[item.via] = _Count(event.via, at, at)
        else:
            count.add(at)
        if event.source not in count.sources:
            count.sources = (*count.sources, event.source)
        if (count.seen is None or count.seen < at) and is_active(event):
            count.seen = at
    return [
        (count.via, count.number, count.first, count.seen, count.last, SEPARATOR.join(count.sources))
        for count in found.values()
    ]


@dataclass(slots=True)
class _Count:
    via: UUID
    first: datetime
    last: datetime
    number: int = 1
    seen: datetime | None = None
    sources: tuple[str, ...] = ()

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
