"""The SQL of what is known of customers before they are asked: where they are members, when their timers are due."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, raw
from perennial.segments.definitions.queries import SERVING
from perennial.segments.memberships.queries import of_customers

_PLACES = """
    SELECT c.n, array_agg(s.place - 1)
    FROM unnest($1::uuid[]) WITH ORDINALITY AS c (customer_id, n)
    JOIN membership AS m ON m.customer_id = c.customer_id
    JOIN unnest($2::uuid[]) WITH ORDINALITY AS s (id, place) ON s.id = m.segment_id
    GROUP BY c.n"""
_TIMERS = "SELECT key, due_at FROM timer WHERE kind = $1 AND key = ANY($2::text[])"
_LIVE = "SELECT DISTINCT customer_id FROM stale WHERE live AND customer_id = ANY($1::uuid[])"
_VERSIONS = text(f"""
    SELECT s.id, s.name, coalesce(s.serving_version, s.version) AS version
    FROM segment AS s WHERE {SERVING} ORDER BY s.id""")  # noqa: S608 (ours)


async def all_of(session: ReadSession, customers: Collection[UUID]) -> list[tuple[UUID, UUID]]:
    """The memberships of customers, as (segment, customer)."""
    found = await of_customers(session, customers)
    return [(segment, customer) for customer, segments in found.items() for segment in segments]


async def places(session: ReadSession, customers: Sequence[UUID], segments: Sequence[UUID]) -> list[int]:
    """Of each of these customers the segments that they are in: their places in a list of segments, as bits."""
    rows = await (await raw(session)).fetch(_PLACES, list(customers), list(segments))
    found, bit = [0] * len(customers), [1 << place for place in range(len(segments))]
    for n, among in rows:
        found[n - 1] = sum([bit[place] for place in among])
    return found


async def timers(session: ReadSession, kind: str, customers: Collection[UUID]) -> dict[UUID, datetime]:
    """When the timer of each of these customers is due; who has none is left out."""
    known = {str(customer): customer for customer in customers}
    rows = await (await raw(session)).fetch(_TIMERS, kind, list(known))
    return {known[key]: at for key, at in rows}


async def live_meanwhile(
    session: ReadSession, customers: Collection[UUID], live: Mapping[UUID, bool]
) -> Mapping[UUID, bool]:
    """`live`, and of these customers those whom something live has marked since their marks were taken.

    What it said may have been read already: then its own mark finds nothing changed, and nobody would say so.
    """
    quiet = [customer for customer in customers if not live.get(customer)]
    rows = await (await raw(session)).fetch(_LIVE, quiet) if quiet else ()
    return {**live, **{row[0]: True for row in rows}} if rows else live


async def serving(session: ReadSession) -> list[tuple[UUID, str, int]]:
    """The segments that are kept up to date, by id: id, name, version of what serves."""
    return [(row.id, row.name, row.version) for row in await session.execute(_VERSIONS)]
