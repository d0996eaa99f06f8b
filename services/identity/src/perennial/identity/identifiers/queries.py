"""Identifiers as people look at them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession


class Row(NamedTuple):
    """An identifier with its place in the map; the value is sealed."""

    id: UUID
    kind: str
    digest: bytes
    sealed: bytes
    customer_id: UUID
    version: int
    created_at: datetime


async def of_customer(
    session: ReadSession, any_id: UUID, after: UUID | None, limit: int, kinds: Sequence[str] | None = None
) -> Sequence[Row]:
    """The identifiers of the customer to which an id leads, in the order of their ids; of these kinds only, if any."""
    rows = await session.execute(
        text("""SELECT i.id, i.kind, i.digest, i.sealed, m.customer_id, m.version, i.created_at
                FROM identity_map m JOIN identifier i ON i.id = m.via
                WHERE m.customer_id = (SELECT customer_id FROM identity_map WHERE via = :id)
                  AND (CAST(:after AS uuid) IS NULL OR m.via > CAST(:after AS uuid))
                  AND (CAST(:kinds AS text[]) IS NULL OR i.kind = ANY(CAST(:kinds AS text[])))
                ORDER BY m.via LIMIT :limit"""),
        {"id": any_id, "after": after, "limit": limit, "kinds": kinds},
    )
    return [Row(*row) for row in rows]


async def by_digest(session: ReadSession, digest: bytes) -> tuple[UUID, str, UUID] | None:
    """Id, kind and customer of an identifier."""
    rows = await session.execute(
        text("SELECT via, kind, customer_id FROM identity_map WHERE digest = :digest"), {"digest": digest}
    )
    row = rows.one_or_none()
    return None if row is None else (row[0], row[1], row[2])
