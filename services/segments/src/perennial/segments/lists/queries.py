"""The SQL of lists. Who is on a list stands under an identifier, so merges, splits and their undoing move nothing."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.rules import Sql

_OF_CUSTOMERS = text("""
    SELECT DISTINCT m.customer_id, l.segment_id FROM identity_map AS m JOIN list_member AS l ON l.via = m.via
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[]))""")
_HELD = """SELECT DISTINCT m.customer_id FROM list_member AS l JOIN identity_map AS m ON m.via = l.via
           WHERE l.segment_id = :list_id"""
_ADD = text("""
    INSERT INTO list_member (segment_id, via, by)
    SELECT :segment, via, :by FROM unnest(CAST(:vias AS uuid[])) AS via ORDER BY via ON CONFLICT DO NOTHING""")
_ON_LIST = text("""
    SELECT DISTINCT m.customer_id FROM identity_map AS m JOIN list_member AS l ON l.via = m.via
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[])) AND l.segment_id = :segment""")
_REMOVE = text("""
    DELETE FROM list_member AS l USING identity_map AS m
    WHERE m.via = l.via AND l.segment_id = :segment AND m.customer_id = ANY(CAST(:customers AS uuid[]))""")
_RESOLVE = text("""
    SELECT said.n, m.via, m.customer_id
    FROM unnest(CAST(:kinds AS text[]), CAST(:digests AS bytea[])) WITH ORDINALITY AS said (kind, digest, n)
    JOIN identity_map AS m ON m.digest = said.digest AND m.kind = said.kind""")
_NOTED = text("""
    SELECT l.at, l.by FROM list_member AS l JOIN identity_map AS m ON m.via = l.via
    WHERE m.customer_id = :customer AND l.segment_id = :segment ORDER BY l.at DESC LIMIT 10""")


async def of_customers(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """The lists that each of these customers is on, by any identifier."""
    found: dict[UUID, set[UUID]] = {}
    for customer, segment in await session.execute(_OF_CUSTOMERS, {"customers": list(customers)}):
        found.setdefault(customer, set()).add(segment)
    return found


def held(segment_id: UUID) -> Sql:
    """A query of everybody on a list, as `to_sql` makes one of a rule."""
    return Sql(_HELD, {"list_id": segment_id})


async def on_list(session: ReadSession, segment_id: UUID, customers: Collection[UUID]) -> set[UUID]:
    """Those of the customers who are on a list."""
    rows = await session.execute(_ON_LIST, {"segment": segment_id, "customers": list(customers)})
    return set(rows.scalars())


async def add(session: WriteSession, segment_id: UUID, vias: Collection[UUID], by: str) -> None:
    """Put identifiers on a list."""
    await session.execute(_ADD, {"segment": segment_id, "vias": list(vias), "by": by})


async def remove(session: WriteSession, segment_id: UUID, customers: Collection[UUID]) -> None:
    """Take customers off a list, by all their identifiers."""
    await session.execute(_REMOVE, {"segment": segment_id, "customers": list(customers)})


async def resolve(session: ReadSession, digests: Sequence[tuple[str, bytes]]) -> dict[int, tuple[UUID, UUID]]:
    """By place, the identifier with a kind and a digest, and its customer; unknown ones are left out."""
    bound = {"kinds": [kind for kind, _ in digests], "digests": [digest for _, digest in digests]}
    return {n - 1: (via, customer) for n, via, customer in await session.execute(_RESOLVE, bound)}


async def noted(session: ReadSession, segment_id: UUID, customer: UUID) -> Sequence[Row[Any]]:
    """When and by whom a customer was put on a list, the latest first."""
    return (await session.execute(_NOTED, {"segment": segment_id, "customer": customer})).all()
