"""A service's copy of identity's map: which customer an identifier belongs to.

A customer bears the id of one of its identifiers, so the map answers old customer ids as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.contracts.identity import Assignment, ResolvedEvent
from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.arrays import array
from perennial.common.db.locks import lock_all, lock_key
from perennial.common.db.sessions import ASIDE
from perennial.common.privacy.filtering import gone

_KNOWN = text("SELECT via, customer_id, version, digest IS NOT NULL FROM identity_map WHERE via = ANY(:vias)")
# One walk along the index; a join would descend once for each identifier.
_OLDER = text("""
    WITH asked AS MATERIALIZED (
        SELECT CAST(CAST(:vias AS text) AS uuid[]) AS vias, CAST(CAST(:versions AS text) AS bigint[]) AS versions),
    known AS MATERIALIZED (
        SELECT via, version FROM identity_map WHERE via = ANY(CAST((SELECT vias FROM asked) AS uuid[])))
    SELECT said.via FROM asked CROSS JOIN unnest(asked.vias, asked.versions) AS said (via, version)
    LEFT JOIN known ON known.via = said.via WHERE known.version IS NULL OR known.version < said.version""")
_OWNERS = text("SELECT via, customer_id FROM identity_map WHERE via = ANY(CAST(CAST(:vias AS text) AS uuid[]))")
_PLACE = text("""
    INSERT INTO identity_map (via, customer_id, version)
    SELECT via, via, -1 FROM unnest(CAST(:vias AS uuid[])) AS via ORDER BY via ON CONFLICT DO NOTHING""")
_HOLD = text("""
    SELECT via, customer_id, version FROM identity_map WHERE via = ANY(:vias) ORDER BY via FOR UPDATE""")
_UPSERT = text("""
    INSERT INTO identity_map AS m (via, customer_id, version, kind, digest)
    SELECT * FROM unnest(CAST(:vias AS uuid[]), CAST(:customers AS uuid[]), CAST(:versions AS bigint[]),
                         CAST(:kinds AS text[]), CAST(:digests AS bytea[]))
    ON CONFLICT (via) DO UPDATE SET
        customer_id = CASE WHEN m.version < excluded.version THEN excluded.customer_id ELSE m.customer_id END,
        version = greatest(m.version, excluded.version),
        kind = coalesce(m.kind, excluded.kind), digest = coalesce(m.digest, excluded.digest)
    RETURNING via, customer_id, version""")


@dataclass(frozen=True)
class MapChange:
    """An identifier's customer changed; `before` is None when the identifier is new here."""

    via: UUID
    before: UUID | None
    after: UUID


async def learn(session: WriteSession, events: Iterable[ResolvedEvent]) -> list[MapChange]:
    """Take over what resolved events say of the map; returns what is new."""
    newest: dict[int, ResolvedEvent] = {}  # by the integer: hashing a UUID is slow, and every event passes here
    for event in events:
        key = event.via.int
        known = newest.get(key)
        if known is None or known.version < event.version:
            newest[key] = event
    said = newest.values()
    values = {"vias": array([event.via for event in said]), "versions": array([event.version for event in said])}
    news = [
        Assignment(via=event.via, customer=event.customer, version=event.version)
        for event in [newest[via.int] for via in (await session.execute(_OLDER, values)).scalars()]
    ]
    return await apply(session, news) if news else []


async def apply(session: WriteSession, assignments: Sequence[Assignment]) -> list[MapChange]:
    """Take over assignments in any order, however often; the highest version wins. Returns what changed."""
    newest: dict[UUID, Assignment] = {}
    for item in assignments:
        if item.via not in newest or newest[item.via].version <= item.version:
            newest[item.via] = item
    seen = {row[0]: row for row in await session.execute(_KNOWN, {"vias": list(newest)})}
    wanted = [item for item in newest.values() if _is_news(item, seen.get(item.via))]
    if not wanted:
        return []
    wanted.sort(key=lambda item: item.via.bytes)
    erased = await gone(session, [item.via for item in wanted])
    wanted = [item for item in wanted if item.via not in erased]
    if not wanted:
        return []
    known = await _hold(session, [item.via for item in wanted])
    written = await session.execute(
        _UPSERT,
        {
            "vias": [item.via for item in wanted],
            "customers": [item.customer for item in wanted],
            "versions": [item.version for item in wanted],
            "kinds": [item.kind for item in wanted],
            "digests": [bytes.fromhex(item.digest) if item.digest else None for item in wanted],
        },
    )
    changes = []
    for via, customer, _ in written:
        before = known[via][1] if via in known else None
        if before != customer:
            changes.append(MapChange(via, before, customer))
    return changes


async def _hold(session: WriteSession, vias: list[UUID]) -> dict[UUID, Sequence[Any]]:
    """Today's rows of identifiers, held until the transaction ends: what a rival was just writing is in them.

    An unknown identifier is held by a row of version -1, which the upsert that follows overwrites.
    """
    await session.execute(_PLACE, {"vias": vias})
    rows = await session.execute(_HOLD, {"vias": vias})
    return {row.via: row for row in rows if row.version >= 0}


def _is_news(item: Assignment, known: "Sequence[object] | None") -> bool:
    return known is None or item.version > int(str(known[2])) or (item.digest is not None and not known[3])


async def customers_of(session: ReadSession, vias: Iterable[UUID]) -> dict[UUID, UUID]:
    """Today's customer of each identifier; unknown ones are left out."""
    rows = await session.execute(_OWNERS, {"vias": array(list(set(vias)))})
    return {via: customer for via, customer in rows}  # noqa: C416 (rows are not pairs for mypy)


async def customer_of(session: ReadSession, any_id: UUID) -> UUID | None:
    """Today's customer for an identifier's id or a customer's id, old ones included."""
    return (await customers_of(session, [any_id])).get(any_id)


async def vias_of(session: ReadSession, customers: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """The identifiers of each customer; a customer that is no more is left out."""
    rows = await session.execute(
        text("SELECT customer_id, via FROM identity_map WHERE customer_id = ANY(:ids) ORDER BY via"),
        {"ids": list(set(customers))},
    )
    found: dict[UUID, list[UUID]] = {}
    for customer, via in rows:
        found.setdefault(customer, []).append(via)
    return found


async def lock_customers(session: WriteSession, customers: Iterable[UUID]) -> None:
    """Lock customers in sorted order until the transaction ends; read the map again after it.

    A session aside has copies of its own, and must hold up nobody.
    """
    if session.info.get(ASIDE):
        return
    schema = (await session.execute(text("SELECT current_schema()"))).scalar_one()
    await lock_all(session, [lock_key(schema, "customer", customer) for customer in customers])
