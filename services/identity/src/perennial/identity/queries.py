"""The map of identifiers: reading it, locking it, changing it. Identity's `identity_map` is the master copy."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession, raw
from perennial.identity.graph import Member

_FOUND = """
    SELECT m.via, m.customer_id, m.version, m.kind, m.digest, s.via IS NOT NULL
    FROM identity_map m LEFT JOIN shared s ON s.via = m.via WHERE m.digest = ANY($1::bytea[])"""
# A customer that has been merged away meanwhile drops out when the lock comes: its row no longer names itself.
_LOCK = text("""
    SELECT via FROM identity_map WHERE via = ANY(CAST(:customers AS uuid[])) AND via = customer_id
    ORDER BY via FOR NO KEY UPDATE""")
_MEMBERS = text("""
    SELECT m.via, m.customer_id, m.version, m.kind, m.digest, s.via IS NOT NULL, i.created_at
    FROM identity_map m JOIN identifier i ON i.id = m.via LEFT JOIN shared s ON s.via = m.via
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[])) ORDER BY m.via""")
_ADD = """
    INSERT INTO identity_map (via, customer_id, version, kind, digest)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bytea[])"""
_MOVE = """
    UPDATE identity_map AS m SET customer_id = new.customer_id, version = new.version
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS new (via, customer_id, version)
    WHERE m.via = new.via AND m.version = new.version - 1"""
_HISTORY = """
    INSERT INTO map_change (via, version, customer_id, previous_id, cause, event_id, through, merge_id, rule, at)
    SELECT *, clock_timestamp()
    FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[],
                $9::smallint[])"""


class Change(NamedTuple):
    """A row of `map_change`."""

    via: UUID
    version: int
    customer: UUID
    previous: UUID | None
    cause: str
    event_id: UUID | None
    through: UUID | None
    merge_id: UUID | None
    rule: int


async def found(session: WriteSession, digests: Iterable[bytes]) -> list[Member]:
    """The identifiers of these blind indexes that are known."""
    rows = await (await raw(session)).fetch(_FOUND, list(digests))
    return [Member(*row) for row in rows]


async def lock_customers(session: WriteSession, customers: Iterable[UUID]) -> set[UUID]:
    """Lock customers in the order of their ids; those that are no customers any more are left out."""
    rows = await session.execute(_LOCK, {"customers": list(customers)})
    return set(rows.scalars())


async def members(session: ReadSession, customers: Iterable[UUID]) -> list[Member]:
    """All identifiers of these customers."""
    rows = await session.execute(_MEMBERS, {"customers": list(customers)})
    return [Member(*row) for row in rows]


async def held(session: WriteSession, ids: Iterable[UUID]) -> list[Member]:
    """The identifiers of the customers to which these ids lead, locked; what is unknown is passed over.

    Begins again when they moved meanwhile, and lets go first: whoever waits for more while holding these may wait
    for ever.
    """
    wanted = list(ids)
    while True:
        attempt = await session.begin_nested()
        today = await resolve(session, wanted)
        customers = set(today.values())
        if await lock_customers(session, customers) == customers:
            found = await members(session, customers)
            if today.keys() <= {member.via for member in found}:
                await attempt.commit()
                return found
        await attempt.rollback()


async def add(session: WriteSession, new: Sequence[Member]) -> None:
    """Enter new identifiers into the map."""
    columns = list(zip(*((m.via, m.customer, m.version, m.kind, m.digest) for m in new), strict=True))
    await (await raw(session)).execute(_ADD, *columns)


async def move(session: WriteSession, moved: Sequence[Member]) -> None:
    """Give identifiers a new customer; `version` is the new one. Their customers must be locked."""
    columns = list(zip(*((m.via, m.customer, m.version) for m in moved), strict=True))
    status = await (await raw(session)).execute(_MOVE, *columns)
    if status != f"UPDATE {len(moved)}":
        msg = f"moving {len(moved)} identifiers ended as {status}: a customer was not locked"
        raise RuntimeError(msg)


async def note(session: WriteSession, changes: Sequence[Change]) -> None:
    """Write the history of the map."""
    await (await raw(session)).execute(_HISTORY, *zip(*changes, strict=True))


async def resolve(session: ReadSession, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Today's customer for identifiers' or customers' ids, old ones included."""
    rows = await session.execute(
        text("SELECT via, customer_id FROM identity_map WHERE via = ANY(CAST(:ids AS uuid[]))"), {"ids": list(ids)}
    )
    return {via: customer for via, customer in rows}  # noqa: C416 (rows are not pairs for mypy)


async def of_customer(session: ReadSession, any_id: UUID) -> list[UUID]:
    """The identifiers of the customer to which an id leads; none when it is unknown."""
    rows = await session.execute(
        text("""SELECT via FROM identity_map
                WHERE customer_id = (SELECT customer_id FROM identity_map WHERE via = :id) ORDER BY via"""),
        {"id": any_id},
    )
    return list(rows.scalars())


async def state(session: ReadSession, via: UUID) -> RowMapping:
    """An identifier's kind and customer, and whether it is shared."""
    rows = await session.execute(
        text("""SELECT m.via AS id, m.kind, m.customer_id, s.via IS NOT NULL AS shared
                FROM identity_map m LEFT JOIN shared s ON s.via = m.via WHERE m.via = :via"""),
        {"via": via},
    )
    return rows.mappings().one()
