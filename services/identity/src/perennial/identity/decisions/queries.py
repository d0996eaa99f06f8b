"""Decisions, claims of new identifiers, conflicts and separations in SQL."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession, raw
from perennial.common.ids import uuid7
from perennial.identity.graph import Conflict, Parting

_PROBE = text("SELECT id, via, seq FROM decision WHERE id = ANY(CAST(:ids AS uuid[]))")
_CUSTOMERS = text("SELECT via, customer_id, version FROM identity_map WHERE via = ANY(CAST(:vias AS uuid[]))")
_CLAIM = """
    INSERT INTO identifier (id, kind, digest, sealed, created_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::timestamptz[])
      AS new (id, kind, digest, sealed, created_at)
    ORDER BY digest ON CONFLICT (digest) DO NOTHING RETURNING id"""
_DECIDE = """
    INSERT INTO decision (id, week, via, seq)
    SELECT id, $4::integer, via, seq FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS new (id, via, seq)
    ORDER BY id ON CONFLICT (id, week) DO NOTHING"""
_CONFLICTS = text("""
    INSERT INTO conflict (id, reason, kind, via, against, count, evidence, last_event_id)
    SELECT id, reason, kind, via, against, count, evidence, event
    FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[]), CAST(:kinds AS text[]), CAST(:vias AS uuid[]),
                CAST(:against AS uuid[]), CAST(:counts AS bigint[]), CAST(:evidence AS jsonb[]),
                CAST(:events AS uuid[])) AS new (id, reason, kind, via, against, count, evidence, event)
    ORDER BY via, against, reason
    ON CONFLICT (via, against, reason) DO UPDATE SET
        count = conflict.count + excluded.count, last_event_id = excluded.last_event_id, last_at = now()""")


_SEALED = "SELECT id, kind, digest, sealed FROM identifier WHERE id = ANY($1::uuid[])"


class Sealed(NamedTuple):
    """An identifier's value at rest; it is bound to its blind index."""

    id: UUID
    kind: str
    digest: bytes
    sealed: bytes


class Claim(NamedTuple):
    """A new identifier of this transaction's own."""

    id: UUID
    kind: str
    digest: bytes
    sealed: bytes
    at: datetime


async def decided(session: ReadSession, ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, int]]:
    """The identifier and the sequence of each event that was decided before."""
    rows = await session.execute(_PROBE, {"ids": ids})
    return {row[0]: (row[1], row[2]) for row in rows}


async def customers(session: ReadSession, vias: Iterable[UUID]) -> dict[UUID, tuple[UUID, int]]:
    """Customer and version of identifiers."""
    rows = await session.execute(_CUSTOMERS, {"vias": list(vias)})
    return {row[0]: (row[1], row[2]) for row in rows}


async def sealed(session: WriteSession, vias: Sequence[UUID]) -> list[Sealed]:
    """The values of identifiers."""
    return [Sealed(*row) for row in await (await raw(session)).fetch(_SEALED, vias)]


async def claim(session: WriteSession, new: Sequence[Claim]) -> set[UUID]:
    """Insert identifiers; those that somebody else was first with are not among the ids returned, but can be read."""
    rows = await (await raw(session)).fetch(_CLAIM, *zip(*new, strict=True))
    return {row[0] for row in rows}


async def decide(session: WriteSession, week: int, rows: Sequence[tuple[UUID, UUID, int]]) -> int:
    """Write decisions (event, via, sequence); how many were not there already."""
    status = await (await raw(session)).execute(_DECIDE, *zip(*rows, strict=True), week)
    return int(status.rsplit(" ", 1)[1])


async def separations(session: ReadSession, vias: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """The separations between these identifiers."""
    rows = await session.execute(
        text("""SELECT low, high FROM separation
                WHERE low = ANY(CAST(:vias AS uuid[])) AND high = ANY(CAST(:vias AS uuid[]))"""),
        {"vias": vias},
    )
    return [(row[0], row[1]) for row in rows]


async def count_conflicts(session: WriteSession, conflicts: Sequence[Conflict]) -> None:
    """Queue conflicts for a person; one that is queued already is counted."""
    await session.execute(
        _CONFLICTS,
        {
            "ids": [uuid7() for _ in conflicts],
            "reasons": [item.reason for item in conflicts],
            "kinds": [item.kind for item in conflicts],
            "vias": [item.via for item in conflicts],
            "against": [item.against for item in conflicts],
            "counts": [item.count for item in conflicts],
            "evidence": [json.dumps(item.evidence) for item in conflicts],
            "events": [item.last_event_id for item in conflicts],
        },
    )


async def met(session: ReadSession, vias: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """The user ids that each identifier was seen beside and not joined with."""
    found: dict[UUID, list[UUID]] = {}
    for via, user in await session.execute(
        text("SELECT via, user_via FROM met WHERE via = ANY(CAST(:vias AS uuid[]))"), {"vias": list(vias)}
    ):
        found.setdefault(via, []).append(user)
    return found


async def meet(session: WriteSession, pairs: Iterable[tuple[UUID, UUID]]) -> None:
    """Note which identifiers were seen beside which user ids."""
    vias, users = zip(*sorted(pairs), strict=True)
    await session.execute(
        text("""INSERT INTO met (via, user_via)
                SELECT * FROM unnest(CAST(:vias AS uuid[]), CAST(:users AS uuid[])) ON CONFLICT DO NOTHING"""),
        {"vias": list(vias), "users": list(users)},
    )


async def share(session: WriteSession, partings: Sequence[Parting]) -> None:
    """Mark identifiers as shared, by the events that showed it."""
    await session.execute(
        text("""INSERT INTO shared (via, event_id)
                SELECT * FROM unnest(CAST(:vias AS uuid[]), CAST(:events AS uuid[])) ON CONFLICT DO NOTHING"""),
        {"vias": [one.via for one in partings], "events": [one.event_id for one in partings]},
    )


async def ensure_week(session: WriteSession, week: int) -> None:
    """Create the partition of a week, unless it is there."""
    await session.execute(text("SELECT ensure_decision_week(:week)"), {"week": week})


async def drop_weeks(session: WriteSession, before: int) -> list[str]:
    """Drop the partitions of weeks before this one; returns their names."""
    rows = await session.execute(text("SELECT drop_decision_weeks(:before)"), {"before": before})
    return list(rows.scalars())
