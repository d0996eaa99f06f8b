"""The SQL behind the tags that customers show."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession, raw
from perennial.common.db.arrays import array
from perennial.common.rules import Occurrence
from perennial.common.rules.facts.views import decoded, properties_sql
from perennial.profile.params import EARLIEST
from perennial.profile.tags.definitions.compiled import Reads

_NAME = "CASE e.type WHEN 'track' THEN e.name WHEN 'page' THEN 'Page Viewed' WHEN 'screen' THEN 'Screen Viewed' END"
# One range per identifier; its bounds let Postgres skip the months in which the identifier was silent. Without the CASE
# it would begin with every pair of a customer and a name.
_EVENTS = f"""
    SELECT c.n, e.name, e.at, {{properties}}
    FROM unnest($1::text::uuid[], $2::int[]) WITH ORDINALITY AS c (customer_id, reader, n)
    JOIN identity_map AS m ON m.customer_id = c.customer_id JOIN activity AS a USING (via)
    CROSS JOIN LATERAL (
        SELECT {_NAME} AS name, e.timestamp AS at, e.body -> 'properties' AS properties FROM event AS e
        WHERE e.via = m.via AND e.type IN ('track', 'page', 'screen')
          AND e.timestamp > greatest(a.first_seen - interval '1 second', $3::timestamptz)
          AND e.timestamp <= a.latest) AS e
    JOIN (SELECT name, since, readers::boolean[] AS readers
          FROM unnest($4::text::text[], $5::text::timestamptz[], $6::text[]) AS w (name, since, readers) OFFSET 0) AS w
      ON w.name = e.name AND e.at > w.since AND CASE WHEN w.name = e.name THEN w.readers[c.reader] END
    ORDER BY e.at"""  # noqa: S608 (a constant of ours)
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
_BEFORE = text("SELECT * FROM customer_tag WHERE customer_id = ANY(CAST(CAST(:ids AS text) AS uuid[]))")
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


async def events(session: ReadSession, wanted: Mapping[UUID, Reads], every: Reads, now: datetime) -> Events:
    """The events that each customer's rules read, oldest first; those of the future included.

    `every` is all that anybody's rules read: the statement is the same whoever is asked.
    """
    found: Events = {customer: {} for customer in wanted}
    chosen = {customer: reads for customer, reads in wanted.items() if reads.spans}
    if not chosen:
        return found
    readers = list({id(reads): reads for reads in chosen.values()}.values())
    places = {id(reads): place for place, reads in enumerate(readers, start=1)}
    spans = reduce(or_, readers).spans
    sinces = [EARLIEST if span is None else now - span for span in spans.values()]
    properties, values = properties_sql(every.footprint, 7)
    rows = await (await raw(session)).fetch(
        _EVENTS.format(properties=properties),
        array(list(chosen)),
        [places[id(reads)] for reads in chosen.values()],
        min(sinces),
        array(list(spans)),
        array(sinces),
        ["{" + ",".join("t" if name in reads.spans else "f" for reads in readers) + "}" for name in spans],
        *values,
    )
    of = [found[customer] for customer in chosen]
    for n, name, at, said in rows:
        mine = of[n - 1]
        known = mine.get(name)
        if known is None:
            known = mine[name] = []
        known.append(Occurrence(at, decoded(said) or {}))
    return found


async def memberships(
    session: ReadSession, customers: Collection[UUID], segments: Collection[UUID]
) -> dict[UUID, set[UUID]]:
    """The segments, of these, that customers are in."""
    found: dict[UUID, set[UUID]] = {customer: set() for customer in customers}
    if segments:
        values = {"customers": list(customers), "segments": list(segments)}
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


async def before(session: ReadSession, ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """The rows as they stand."""
    return (await session.execute(_BEFORE, {"ids": array(list(ids))})).all() if ids else ()


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
