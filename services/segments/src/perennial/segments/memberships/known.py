"""The SQL of what is known of customers before they are asked: where they are members, when their timers are due."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common import identity_map
from perennial.common.db import ReadSession, raw
from perennial.common.db.arrays import array
from perennial.segments.definitions.queries import SERVING
from perennial.segments.memberships.queries import of_customers

# OFFSET 0: Postgres takes an array for ten rows, and would look up each segment for each customer.
_PLACES = """
    SELECT c.n, array_agg(s.place - 1)
    FROM unnest($1::text::uuid[]) WITH ORDINALITY AS c (customer_id, n)
    CROSS JOIN LATERAL (SELECT segment_id FROM membership WHERE customer_id = c.customer_id OFFSET 0) AS m
    JOIN unnest($2::text::uuid[]) WITH ORDINALITY AS s (id, place) ON s.id = m.segment_id
    GROUP BY c.n"""
_TIMERS = "SELECT key, due_at FROM timer WHERE kind = $1 AND key = ANY($2::text::text[])"
_LIVE = "SELECT DISTINCT customer_id FROM stale WHERE live AND customer_id = ANY($1::uuid[])"
_VERSIONS = text(f"""
    SELECT count(*) || coalesce(
        string_agg(format(E'\\n%s %s %s', s.id, coalesce(s.serving_version, s.version), s.name), '' ORDER BY s.id), '')
    FROM segment AS s WHERE {SERVING}""")  # noqa: S608 (ours)


async def all_of(session: ReadSession, customers: Collection[UUID]) -> list[tuple[UUID, UUID]]:
    """The memberships of customers, as (segment, customer)."""
    found = await of_customers(session, customers)
    return [(segment, customer) for customer, segments in found.items() for segment in segments]


async def places(session: ReadSession, customers: Sequence[UUID], segments: str, count: int) -> list[int]:
    """Of each of these customers the segments that they are in: their places in a list of so many, as bits."""
    rows = await (await raw(session)).fetch(_PLACES, array(customers), segments)
    found, bit = [0] * len(customers), [1 << place for place in range(count)]
    for n, among in rows:
        found[n - 1] = sum([bit[place] for place in among])
    return found


async def timers(session: ReadSession, kind: str, customers: Iterable[UUID]) -> list[datetime | None]:
    """Of each of these customers when their timer is due, if they have one."""
    names = [str(customer) for customer in customers]
    rows = await (await raw(session)).fetch(_TIMERS, kind, array(names))
    found: dict[str, datetime] = dict(map(tuple, rows))
    return [found.get(name) for name in names]


async def overdue(session: ReadSession, kind: str, gone: Sequence[UUID], now: datetime) -> dict[UUID, datetime]:
    """By the customer whom they are today, the earliest timer that should have fired of customers who are no more."""
    due = zip(gone, await timers(session, kind, gone), strict=True)
    late = {customer: at for customer, at in due if at and at <= now}
    owners = await identity_map.customers_of(session, late) if late else {}
    found: dict[UUID, datetime] = {}
    for customer, at in late.items():
        owner = owners.get(customer, customer)
        found[owner] = min(at, found.get(owner, at))
    return found


async def live_meanwhile(
    session: ReadSession, customers: Collection[UUID], live: Mapping[UUID, bool]
) -> Mapping[UUID, bool]:
    """`live`, and of these customers those whom something live has marked since their marks were taken.

    What it said may have been read already: then its own mark finds nothing changed, and nobody would say so.
    """
    quiet = [customer for customer in customers if not live.get(customer)]
    rows = await (await raw(session)).fetch(_LIVE, quiet) if quiet else ()
    return {**live, **{row[0]: True for row in rows}} if rows else live


async def serving(session: ReadSession) -> str:
    """The segments that are kept up to date, as `spelled`: as a rule they are the same as the last time."""
    return str((await session.execute(_VERSIONS)).scalar_one())


def spelled(rows: Iterable[Row[Any]]) -> str:
    """Id, name and version of what serves, of rows by id."""
    said = [f"\n{row.id} {row.version} {row.name}" for row in rows]
    return f"{len(said)}{''.join(said)}"
