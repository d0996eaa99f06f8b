"""The SQL of the timeline and its counts."""

import functools
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession, raw
from perennial.common.db.arrays import arrays
from perennial.common.db.copying import copy, instant, word
from perennial.profile.timeline import kinds
from perennial.profile.traits.sealing import Opened, opened_event

COLUMNS = (
    "id", "via", "source", "message_id", "type", "name", "timestamp", "received_at", "live", "body", "sent_at",
    "data_class",
)  # fmt: skip
# What has a length of its own comes first, then what is the same in many rows.
_COPIED = (
    "id", "via", "timestamp", "received_at", "live", "message_id", "source", "type", "name", "data_class", "sent_at",
    "body",
)  # fmt: skip
_FIXED, _SENT, _UNSENT = struct.Struct(">hi16si16siqiqi?i"), struct.Struct(">iqiB"), struct.Struct(">iiB")
LONGEST_KNOWN = 200
Part = tuple[date, str]

_PARTS = text("""
    SELECT kept_month, kept_class
    FROM ensure_event_parts(CAST(:months AS date[]), CAST(:classes AS text[]), CAST(:received AS timestamptz[]))""")
# One look at the arrays for both tables: to read them costs as much as to write the rows.
_COUNT = """
    WITH said AS MATERIALIZED (
        SELECT via, name, count, first, coalesce(last, first) AS last, sources, coalesce(events, count) AS events,
               coalesce(begun, first) AS begun, coalesce(ended, last, first) AS ended, seen
        FROM unnest($1::text::uuid[], $2::text::text[], $3::text::int[], $4::text::timestamptz[],
                    $5::text::timestamptz[], $6::text::text[], $7::text::int[], $8::text::timestamptz[],
                    $9::text::timestamptz[], $10::text::timestamptz[])
            AS x (via, name, count, first, last, sources, events, begun, ended, seen)),
    active AS (
        INSERT INTO activity AS a (via, events, first_seen, last_seen, latest, sources)
        SELECT via, events, begun, nullif(coalesce(seen, ended), '-infinity'), ended, string_to_array(sources, chr(31))
        FROM said WHERE sources IS NOT NULL
        ON CONFLICT (via) DO UPDATE SET events = a.events + excluded.events,
            first_seen = least(a.first_seen, excluded.first_seen),
            last_seen = greatest(a.last_seen, excluded.last_seen), latest = greatest(a.latest, excluded.latest),
            sources = CASE WHEN a.sources @> excluded.sources THEN a.sources
                      ELSE ARRAY(SELECT DISTINCT unnest(a.sources || excluded.sources) ORDER BY 1) END)
    INSERT INTO counter AS c (via, name, count, first, last)
    SELECT via, name, count, first, last FROM said WHERE name IS NOT NULL
    ON CONFLICT (via, name) DO UPDATE SET count = c.count + excluded.count,
        first = least(c.first, excluded.first), last = greatest(c.last, excluded.last)"""
# Rows are never updated: whoever derives holds customers' locks, and must not wait for those who wait for them.
_TOLD = "INSERT INTO told (via, month) SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) ON CONFLICT DO NOTHING"
_SHOWN = """id, message_id, type, name, timestamp, received_at, sent_at, source, live, via, body,
            coalesce(body ->> 'originalTimestamp', body ->> 'timestamp') AS original_timestamp"""
# One index range per identifier, month and class; the bounds let Postgres skip the months in which it was silent.
_TIMELINE = text(f"""
    SELECT e.* FROM identity_map AS m LEFT JOIN activity AS a USING (via) CROSS JOIN LATERAL (
        SELECT min(month) AS first, max(month) + interval '31 days' AS last FROM told WHERE via = m.via) AS t
    CROSS JOIN LATERAL (
        SELECT {_SHOWN}
        FROM event
        WHERE via = m.via AND timestamp >= greatest(least(a.first_seen, t.first), CAST(:since AS timestamptz))
          AND timestamp <= least(greatest(a.latest, t.last), CAST(:until AS timestamptz), CAST(:at AS timestamptz))
          AND data_class = ANY(CAST(:classes AS text[])) AND type = ANY(CAST(:types AS text[]))
          AND (CAST(:at AS timestamptz) IS NULL OR (timestamp, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid)))
          AND (CAST(:name AS text) IS NULL OR coalesce(name, type) = CAST(:name AS text))
          AND (CAST(:source AS text) IS NULL OR source = CAST(:source AS text))
        ORDER BY timestamp DESC, id DESC LIMIT :limit) AS e
    WHERE m.customer_id = (SELECT customer_id FROM identity_map WHERE via = :any_id)
      AND (a.via IS NOT NULL OR t.first IS NOT NULL)
    ORDER BY e.timestamp DESC, e.id DESC LIMIT :limit""")  # noqa: S608 (ours)
_BY_MESSAGE = text(f"""
    SELECT {_SHOWN} FROM event
    WHERE message_id = :message_id AND (CAST(:source AS text) IS NULL OR source = CAST(:source AS text))
      AND data_class = ANY(CAST(:classes AS text[])) AND type = ANY(CAST(:types AS text[]))
    ORDER BY received_at DESC, id DESC LIMIT 1""")  # noqa: S608 (ours)


@dataclass(frozen=True)
class Filter:
    """What of a customer's timeline to show; `after` is the (timestamp, id) of the last one seen.

    `types` are stored types and `classes` where they are found; `name` is the event's, or its type where it has none.
    """

    name: str | None = None
    types: tuple[str, ...] = kinds.types_of(None)
    classes: tuple[str, ...] = kinds.CLASSES
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, UUID] | None = None


async def ensure_parts(session: WriteSession, wanted: Mapping[Part, datetime]) -> set[Part]:
    """Of the months and data classes, with when each was heard of, those that are kept; they exist from now on.

    Writers of other months go on meanwhile; another creator waits until this transaction ends.
    """
    months, classes = zip(*wanted, strict=True)
    values = {"months": months, "classes": classes, "received": list(wanted.values())}
    return {(row[0], row[1]) for row in await session.execute(_PARTS, values)}


async def append(session: WriteSession, rows: Sequence[Sequence[Any]]) -> None:
    """COPY rows in the order of COLUMNS; their partitions must exist."""
    await copy(session, "event", _COPIED, map(_copied, rows))


def _copied(row: Sequence[Any]) -> Iterable[bytes]:
    """A row in the order of _COPIED."""
    any_id, via, source, message_id, type_, name, at, received_at, live, body, sent_at, data_class = row
    named = message_id.encode()
    words = _words if name is None or len(name) <= LONGEST_KNOWN else _words.__wrapped__
    return (
        _FIXED.pack(
            len(_COPIED), 16, any_id.int.to_bytes(16), 16, via.int.to_bytes(16), 8, instant(at),
            8, instant(received_at), 1, live, len(named),
        ),
        named,
        words(source, type_, name, data_class),
        _UNSENT.pack(-1, len(body) + 1, 1) if sent_at is None else _SENT.pack(8, instant(sent_at), len(body) + 1, 1),
        body,
    )  # fmt: skip


@functools.lru_cache(maxsize=4096)  # of short names: what clients make up must not fill the memory
def _words(*said: str | None) -> bytes:
    return b"".join(map(word, said))


async def count(session: WriteSession, rows: Sequence[Sequence[Any]]) -> None:
    """Add (via, name, count, first, last, sources, events, begun, ended, seen), unique and sorted by via and name.

    No last: the first. What has no name counts for the identifier alone. The first row of an identifier bears its
    sources, and where there are several rows what they come to: how many events, when they begin and end. `seen` is
    when the customer was there last: `-infinity` never, None at the end.
    """
    await (await raw(session)).execute(_COUNT, *arrays(rows))


async def note_told(session: WriteSession, rows: Sequence[Sequence[Any]]) -> None:
    """Note (via, first instant of a month) in which services said something, unique and sorted."""
    await (await raw(session)).execute(_TOLD, *zip(*rows, strict=True))


async def of_customer(session: ReadSession, any_id: UUID, wanted: Filter, limit: int) -> Sequence[Opened]:
    """The timeline of all identifiers of the customer whom an id means today, newest first."""
    at, last_id = wanted.after or (None, None)
    values = {
        "any_id": any_id,
        "name": wanted.name,
        "types": list(wanted.types),
        "classes": list(wanted.classes),
        "source": wanted.source,
        "since": wanted.since,
        "until": wanted.until,
        "at": at,
        "id": last_id,
        "limit": limit,
    }
    return [opened_event(session, row) for row in await session.execute(_TIMELINE, values)]


async def by_message(session: ReadSession, message_id: str, source: str | None) -> Opened | None:
    """The event of a message id; of several sources' the one received last."""
    values = {
        "message_id": message_id,
        "source": source,
        "classes": list(kinds.OF_TRACKED),
        "types": list(kinds.TRACKED),
    }
    found = (await session.execute(_BY_MESSAGE, values)).one_or_none()
    return None if found is None else opened_event(session, found)
