"""The SQL behind the tags that customers show."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.arrays import array
from perennial.common.rules import Occurrence
from perennial.common.rules.facts import decode
from perennial.profile.params import EARLIEST
from perennial.profile.tags.definitions.compiled import Reads

_NAME = "CASE e.type WHEN 'track' THEN e.name WHEN 'page' THEN 'Page Viewed' WHEN 'screen' THEN 'Screen Viewed' END"
# One range per identifier; its bounds let Postgres skip the months in which the identifier was silent.
_EVENTS = text(f"""
    SELECT m.customer_id, e.name, e.at, CASE WHEN w.detailed THEN (e.body -> 'properties')::text END AS properties
    FROM identity_map AS m JOIN activity AS a USING (via)
    CROSS JOIN LATERAL (
        SELECT {_NAME} AS name, e.timestamp AS at, e.body FROM event AS e
        WHERE e.via = m.via AND e.type IN ('track', 'page', 'screen')
          AND e.timestamp > greatest(a.first_seen - interval '1 second', CAST(:since AS timestamptz))
          AND e.timestamp <= a.latest) AS e
    JOIN unnest(CAST(:names AS text[]), CAST(:sinces AS timestamptz[]), CAST(:detailed AS boolean[]))
         AS w (name, since, detailed) ON w.name = e.name AND e.at > w.since
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[]))
    ORDER BY e.at""")  # noqa: S608 (a constant of ours)
_SEEN = text("""
    SELECT m.customer_id, min(a.first_seen) AS first_seen, max(a.last_seen) AS last_seen
    FROM identity_map AS m JOIN activity AS a USING (via)
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[])) GROUP BY 1""")
_MEMBERSHIPS = text("""
    SELECT customer_id, segment_id FROM membership
    WHERE member AND customer_id = ANY(CAST(:customers AS uuid[])) AND segment_id = ANY(CAST(:segments AS uuid[]))""")
_GIVEN = text("""
    SELECT DISTINCT ON (m.customer_id, g.key) m.customer_id, g.key, g.held, g.at, g.by, g.why, g.expires_at
    FROM identity_map AS m JOIN tag_assignment AS g USING (via)
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[]))
    ORDER BY m.customer_id, g.key, g.at DESC, g.via DESC""")
_SAID = text("""
    SELECT m.customer_id, u.at, u.kind, u.topics, u.polarity::float8 AS polarity
    FROM identity_map AS m JOIN utterance AS u USING (via)
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[])) AND u.at > :since  -- what is heard anew counts as before
    ORDER BY u.at, u.id""")
_BEFORE = text("""
    SELECT * FROM customer_tag WHERE customer_id = ANY(CAST(CAST(:ids AS text) AS uuid[]))
    UNION ALL
    SELECT * FROM customer_tag
    WHERE customer_id = ANY(CAST(CAST(:partly AS text) AS uuid[])) AND key = ANY(CAST(:keys AS text[]))""")
_REMOVE = text("""
    DELETE FROM customer_tag AS c USING unnest(CAST(:ids AS uuid[]), CAST(:keys AS text[])) AS d (customer_id, key)
    WHERE c.customer_id = d.customer_id AND c.key = d.key""")
_WRITE = text("""
    INSERT INTO customer_tag (customer_id, key, since, by, why, expires_at, score)
    SELECT customer_id, key, since, by, why, expires_at, score
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS d (customer_id uuid, key text, since timestamptz, by text,
        why text, expires_at timestamptz, score numeric)
    ON CONFLICT (customer_id, key) DO UPDATE SET since = excluded.since, by = excluded.by, why = excluded.why,
        expires_at = excluded.expires_at, score = excluded.score""")
_VERSIONS = text("SELECT nextval('tag_change_version') FROM generate_series(1, :n)")
_SHOWN = text("""
    SELECT t.key, t.since, t.by, t.why, t.expires_at, t.score, d.label, d.dimension, d.kind, d.origin, d.version,
           c.stage, coalesce((d.weights ->> c.stage)::float8, 1) AS weight
    FROM customer_tag AS t JOIN tag_definition AS d USING (key) LEFT JOIN customer AS c USING (customer_id)
    WHERE t.customer_id = :customer ORDER BY weight DESC, t.key""")

Events = dict[UUID, dict[str, list[Occurrence]]]


async def events(session: ReadSession, customers: Sequence[UUID], reads: Reads, now: datetime) -> Events:
    """The events that rules read, oldest first; those of the future included."""
    found: Events = {customer: {} for customer in customers}
    if not reads.events:
        return found
    sinces = {name: EARLIEST if span is None else now - span for name, (span, _) in reads.events.items()}
    values = {
        "customers": list(customers),
        "since": min(sinces.values()),
        "names": list(sinces),
        "sinces": list(sinces.values()),
        "detailed": [detailed for _, detailed in reads.events.values()],
    }
    for customer, name, at, properties in await session.execute(_EVENTS, values):
        found[customer].setdefault(name, []).append(Occurrence(at, decode(properties) or {}))
    return found


async def seen(session: ReadSession, customers: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    """When each was first and last there, as a rule reads times."""
    found = {}
    for customer, first, last in await session.execute(_SEEN, {"customers": list(customers)}):
        times = {"first_seen": first, "last_seen": last}
        found[customer] = {name: at.isoformat() for name, at in times.items() if at is not None}
    return found


async def memberships(session: ReadSession, customers: Sequence[UUID], reads: Reads) -> dict[UUID, set[UUID]]:
    """The segments, of those that rules read, that customers are in."""
    found: dict[UUID, set[UUID]] = {customer: set() for customer in customers}
    if reads.segments:
        values = {"customers": list(customers), "segments": list(reads.segments)}
        for customer, segment in await session.execute(_MEMBERSHIPS, values):
            found[customer].add(segment)
    return found


async def given(session: ReadSession, customers: Sequence[UUID]) -> Sequence[Row[Any]]:
    """What people and imports said last of each customer and tag."""
    return (await session.execute(_GIVEN, {"customers": list(customers)})).all()


async def said(
    session: ReadSession, customers: Sequence[UUID], now: datetime, look_back: timedelta
) -> dict[UUID, list[Row[Any]]]:
    """What customers said, oldest first."""
    found: dict[UUID, list[Row[Any]]] = {}
    values = {"customers": list(customers), "since": max(EARLIEST, now - look_back)}
    for row in await session.execute(_SAID, values):
        found.setdefault(row.customer_id, []).append(row)
    return found


async def before(
    session: ReadSession, ids: Iterable[UUID], partly: Iterable[UUID] = (), keys: Iterable[str] = ()
) -> Sequence[Row[Any]]:
    """The rows as they stand; of some customers those of these tags alone."""
    bound = {"ids": array(list(ids)), "partly": array(list(partly)), "keys": list(keys)}
    return (await session.execute(_BEFORE, bound)).all()


async def remove(session: WriteSession, pairs: Sequence[tuple[UUID, str]]) -> None:
    """Delete rows."""
    if pairs:
        await session.execute(_REMOVE, {"ids": [pair[0] for pair in pairs], "keys": [pair[1] for pair in pairs]})


async def write(session: WriteSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, new ones or others."""
    if rows:
        await session.execute(_WRITE, {"rows": json.dumps(list(rows), default=str)})


async def versions(session: WriteSession, number: int) -> list[int]:
    """New numbers, for customers whose tags changed."""
    return list((await session.execute(_VERSIONS, {"n": number})).scalars())


async def shown(session: ReadSession, customer: UUID) -> Sequence[Row[Any]]:
    """The tags that a customer shows, the weightiest first."""
    return (await session.execute(_SHOWN, {"customer": customer})).all()


async def stage(session: ReadSession, customer: UUID) -> str | None:
    """The stage in a customer's row."""
    found: str | None = (
        await session.execute(text("SELECT stage FROM customer WHERE customer_id = :customer"), {"customer": customer})
    ).scalar_one_or_none()
    return found
