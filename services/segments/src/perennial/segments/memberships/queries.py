"""The SQL of memberships."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.rules import Sql


async def page(session: ReadSession, segment_id: UUID, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """Members by customer id."""
    rows = await session.execute(
        text("""SELECT customer_id, since FROM membership WHERE segment_id = :id
                AND (CAST(:after AS uuid) IS NULL OR customer_id > :after) ORDER BY customer_id LIMIT :limit"""),
        {"id": segment_id, "after": after, "limit": limit},
    )
    return rows.all()


async def of_customers(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """The segments that each of these customers is in."""
    rows = await session.execute(
        text("SELECT customer_id, segment_id FROM membership WHERE customer_id = ANY(:ids)"), {"ids": list(customers)}
    )
    found: dict[UUID, set[UUID]] = {}
    for customer, segment in rows:
        found.setdefault(customer, set()).add(segment)
    return found


async def named(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, list[dict[str, str]]]:
    """The same with the segments' names, by name."""
    rows = await session.execute(
        text("""SELECT m.customer_id, s.id, s.name FROM membership m JOIN segment s ON s.id = m.segment_id
                WHERE m.customer_id = ANY(:ids) ORDER BY s.name, s.id"""),
        {"ids": list(customers)},
    )
    found: dict[UUID, list[dict[str, str]]] = {}
    for customer, segment, name in rows:
        found.setdefault(customer, []).append({"id": str(segment), "name": name})
    return found


async def enter(session: WriteSession, pairs: Sequence[tuple[UUID, UUID]], at: datetime) -> Sequence[Row[Any]]:
    """Make (segment, customer) pairs members; returns those that were not, with their versions."""
    rows = await session.execute(
        text("""WITH entered AS (
                    INSERT INTO membership (segment_id, customer_id, since, version)
                    SELECT s, c, :at, nextval('membership_version')
                    FROM unnest(CAST(:segments AS uuid[]), CAST(:customers AS uuid[])) AS p (s, c)
                    ON CONFLICT DO NOTHING RETURNING segment_id, customer_id, version),
                noted AS (
                    INSERT INTO membership_change (segment_id, customer_id, entered, at)
                    SELECT segment_id, customer_id, true, :at FROM entered)
                SELECT * FROM entered"""),
        {"segments": [pair[0] for pair in pairs], "customers": [pair[1] for pair in pairs], "at": at},
    )
    return rows.all()


async def leave(session: WriteSession, pairs: Sequence[tuple[UUID, UUID]], at: datetime) -> Sequence[Row[Any]]:
    """End memberships of (segment, customer) pairs; returns those that ended, with new versions."""
    rows = await session.execute(
        text("""WITH ended AS (
                    DELETE FROM membership m
                    USING unnest(CAST(:segments AS uuid[]), CAST(:customers AS uuid[])) AS p (s, c)
                    WHERE m.segment_id = s AND m.customer_id = c
                    RETURNING m.segment_id, m.customer_id, nextval('membership_version') AS version),
                noted AS (
                    INSERT INTO membership_change (segment_id, customer_id, entered, at)
                    SELECT segment_id, customer_id, false, :at FROM ended)
                SELECT * FROM ended"""),
        {"segments": [pair[0] for pair in pairs], "customers": [pair[1] for pair in pairs], "at": at},
    )
    return rows.all()


async def drift(session: ReadSession, segment_id: UUID, held: Sql) -> tuple[list[UUID], list[UUID]]:
    """Whom a rule holds for but who is no member, and who is a member but whom it does not hold for."""
    rows = await session.execute(
        text(f"""WITH held AS MATERIALIZED ({held.text}),
                      now_in AS (SELECT customer_id FROM membership WHERE segment_id = :this_segment)
                 SELECT customer_id, true AS missing FROM held WHERE customer_id NOT IN (SELECT customer_id FROM now_in)
                 UNION ALL
                 SELECT customer_id, false FROM now_in WHERE customer_id NOT IN (SELECT customer_id FROM held)"""),  # noqa: S608 (to_sql binds)
        {**held.params, "this_segment": segment_id},
    )
    found = rows.all()
    return [row.customer_id for row in found if row.missing], [row.customer_id for row in found if not row.missing]


async def members(session: ReadSession, segment_id: UUID) -> list[UUID]:
    """All members of a segment."""
    rows = await session.execute(text("SELECT customer_id FROM membership WHERE segment_id = :id"), {"id": segment_id})
    return list(rows.scalars())


async def mark_everyone(session: WriteSession) -> None:
    """Have every customer computed again, when things have settled."""
    await session.execute(
        text("""INSERT INTO stale (customer_id, live, at)
                SELECT via, false, now() + interval '1 second' FROM identity_map WHERE via = customer_id""")
    )
