"""Remember what happened, and count it; both commute, so order and batches do not matter."""

import functools
import itertools
import operator
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

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
Said = tuple[ResolvedEvent, str | None, datetime]
"""An event, the name it is filed under, and when it happened."""
_via = operator.attrgetter("via.int")  # hashing and comparing UUIDs is slow
_canonical = functools.lru_cache(maxsize=4096)(commerce.canonical)
expired = metrics.get_meter("perennial").create_counter(
    "perennial.timeline.expired", description="Occurrences too old to be kept."
)


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Append the events to the timeline and add them to the counters of their identifiers."""
    ordered = sorted(events, key=_via)  # neighbours in the index on via
    said = [(event, name_of(event), happened(event)) for event in ordered]
    sealer = await sealing.sealer(session)
    await append(session, [_row(*item, sealer) for item in said])
    named, active = totals(said)
    await queries.count(session, named)
    await queries.note_activity(session, active)


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


def _whose(said: Said) -> int:
    return said[0].via.int


def month_of(at: datetime) -> date:
    """The first day of an instant's month, in UTC."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return date(at.year, at.month, 1)


def happened(event: ResolvedEvent) -> datetime:
    """When an event happened; one from a clock that is years ahead happened when it was received."""
    at, received = event.timestamp, event.received_at
    return at if at <= received or at <= received + AHEAD else received


def name_of(event: ResolvedEvent) -> str | None:
    """The name an event is filed under: canonical for what was tracked."""
    return _canonical(event.name) if event.type == "track" and event.name is not None else event.name


def _row(event: ResolvedEvent, name: str | None, at: datetime, sealer: sealing.Sealer) -> Row:
    return (
        event.id, event.via, event.source, event.message_id, event.type, name, at, event.received_at,
        event.live, sealer.body(event), event.sent_at, kinds.class_of_event(event.type, name),
    )  # fmt: skip


def totals(said: Iterable[Said]) -> tuple[list[Row], list[Row]]:
    """The rows of `queries.count` and `queries.note_activity` of what is sorted by its identifier."""
    named: list[Row] = []
    active: list[Row] = []
    for _, run in itertools.groupby(said, key=_whose):
        one, *others = run
        if others:
            whole = [one, *others]
            named += _named(whole)
            active.append(_active(whole))
        else:  # most speak once in a batch
            event, name, at = one
            counted = _counted(event, name)
            if counted is not None:
                named.append((event.via, counted, 1, at, None))
            active.append((event.via, 1, at, at if is_active(event) else None, None, event.source))
    return named, active


def _named(run: Sequence[Said]) -> list[Row]:
    """What was tracked by its name, pages and screens by their type."""
    found: dict[str, list[datetime]] = {}
    for event, name, at in run:
        counted = _counted(event, name)
        if counted is not None:
            found.setdefault(counted, []).append(at)
    via = run[0][0].via
    return [(via, name, len(ats), min(ats), max(ats)) for name, ats in sorted(found.items())]


def _counted(event: ResolvedEvent, name: str | None) -> str | None:
    counted = event.type if event.type in COUNTED_BY_TYPE else name if event.type == "track" else None
    return counted and counted[:LONGEST_NAME]


def _active(run: Sequence[Said]) -> Row:
    ats = [at for _, _, at in run]
    seen = max((at for event, _, at in run if is_active(event)), default=None)
    sources = SEPARATOR.join(dict.fromkeys(event.source for event, _, _ in run))
    return run[0][0].via, len(run), min(ats), seen, max(ats), sources


def is_active(event: ResolvedEvent) -> bool:
    """Whether the customer was there: `context.active` is not false."""
    if b'"active"' not in bytes(event.body):  # decoding every body would cost more than all else here
        return True
    return (read_body(event.body).context or {}).get("active") is not False
