"""Remember what happened, and count it; both commute, so order and batches do not matter."""

import functools
import operator
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
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
NOTHING = (None,) * 5
NEVER, ACTIVE = "-infinity", b'"active"'
AT, RECEIVED, CLASS = (queries.COLUMNS.index(name) for name in ("timestamp", "received_at", "data_class"))

Row = tuple[Any, ...]
Said = tuple[UUID, str | None, datetime, bool, str]
"""Whose, what it counts as, when it happened, whether the customer was there, and its source."""
_via = operator.attrgetter("via.int")  # hashing and comparing UUIDs is slow


class Filed(NamedTuple):
    """How events of a type and a name are filed: under which name, as what they are counted, in which class."""

    name: str | None
    counted: str | None
    data_class: kinds.DataClass


expired = metrics.get_meter("perennial").create_counter(
    "perennial.timeline.expired", description="Occurrences too old to be kept."
)


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Append the events to the timeline and add them to the counters of their identifiers."""
    sealer = await sealing.sealer(session)
    rows: list[Row] = []
    said: list[Said] = []
    for event in sorted(events, key=_via):  # neighbours in the index on via
        name, counted, kept = filed(event.type, event.name)
        at, body = happened(event), sealer.body(event)
        rows.append((
            event.id, event.via, event.source, event.message_id, event.type, name, at, event.received_at, event.live,
            body, event.sent_at, kept,
        ))  # fmt: skip
        said.append((event.via, counted, at, ACTIVE not in body or is_active(event), event.source))
    await append(session, rows)
    await queries.count(session, totals(said))


async def append(session: WriteSession, rows: Iterable[Row]) -> None:
    """Append rows in the order of COLUMNS, partition after partition, but for those that are too old to be kept."""
    parts: dict[queries.Part, list[Row]] = {}
    for row in rows:
        part = (month_of(row[AT]), row[CLASS])
        held = parts.get(part)
        if held is None:
            held = parts[part] = []
        held.append(row)
    wanted = {part: max(row[RECEIVED] for row in parts[part]) for part in sorted(parts)}
    kept = await queries.ensure_parts(session, wanted)
    fitting = [row for part in sorted(kept) for row in parts[part]]
    if fitting:
        await queries.append(session, fitting)
    expired.add(sum(map(len, parts.values())) - len(fitting))


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
    return filed(event.type, event.name)[0]


def filed(type_: str, named: str | None) -> Filed:
    """What was tracked is counted by its canonical name, pages and screens by their type, all else not at all."""
    known = _filed if named is None or len(named) <= LONGEST_NAME else _filed.__wrapped__
    return known(type_, named)


@functools.lru_cache(maxsize=4096)  # of short names: what clients make up must not fill the memory
def _filed(type_: str, named: str | None) -> Filed:
    name = commerce.canonical(named) if type_ == "track" and named is not None else named
    counted = type_ if type_ in COUNTED_BY_TYPE else name if type_ == "track" else None
    return Filed(name, counted and counted[:LONGEST_NAME], kinds.class_of_event(type_, name))


def totals(said: Iterable[Said]) -> list[Row]:
    """The rows of `queries.count` of what is sorted by its identifier."""
    found: dict[int, list[Said]] = {}
    for item in said:
        key = item[0].int
        run = found.get(key)
        if run is None:
            found[key] = [item]
        else:
            run.append(item)
    rows: list[Row] = []
    for run in found.values():
        if len(run) == 1:  # most speak once in a batch
            via, counted, at, active, source = run[0]
            rows.append((via, counted, 1, at, None, source, None, None, None, None if active else NEVER))
        else:
            rows += _together(run)
    return rows


def _together(run: Sequence[Said]) -> Iterator[Row]:
    """The first of an identifier's rows bears what they come to."""
    found: dict[str, list[datetime]] = {}
    uncounted = 0
    for _, counted, at, _, _ in run:
        if counted is None:
            uncounted += 1
        elif (ats := found.get(counted)) is None:
            found[counted] = [at]
        else:
            ats.append(at)
    via, every = run[0][0], [at for _, _, at, _, _ in run]
    ended = max(every)
    seen = ended if all(active for _, _, _, active, _ in run) else _last_seen(run)
    sources = SEPARATOR.join(dict.fromkeys([source for _, _, _, _, source in run]))
    whole: tuple[Any, ...] = (sources, len(run), min(every), ended, None if seen == ended else seen)
    if uncounted:
        yield (via, None, uncounted, ended, None, *whole)
        whole = NOTHING
    for counted, ats in sorted(found.items()):
        yield (via, counted, len(ats), min(ats), max(ats) if len(ats) > 1 else None, *whole)
        whole = NOTHING


def _last_seen(run: Sequence[Said]) -> datetime | str:
    return max((at for _, _, at, active, _ in run if active), default=NEVER)


def is_active(event: ResolvedEvent) -> bool:
    """Whether the customer was there: `context.active` is not false."""
    if ACTIVE not in bytes(event.body):  # decoding every body would cost more than all else here
        return True
    return (read_body(event.body).context or {}).get("active") is not False
