"""The SQL of memberships."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.rules import Sql
from perennial.segments.definitions.queries import FRESH

_PAGE_AT = text("""
    SELECT customer_id, at AS since FROM (
        SELECT DISTINCT ON (customer_id) customer_id, entered, at FROM membership_change
        WHERE segment_id = :id AND at <= :at AND (CAST(:after AS uuid) IS NULL OR customer_id > :after)
        ORDER BY customer_id, at DESC, id DESC) AS latest
    WHERE entered ORDER BY customer_id LIMIT :limit""")
# The statistics of a table that is filled and emptied all day say that it has a row or two: nothing here may be planned
# as comparing each with each, so the notes are taken out and put back with their versions.
_SWITCH = text("""
    WITH noted AS (
        DELETE FROM staged_member WHERE operation_id = :operation RETURNING customer_id, member),
    entered AS (
        INSERT INTO membership (segment_id, customer_id, since, version)
        SELECT :segment, s.customer_id, :at, nextval('membership_version')
        FROM noted AS s JOIN identity_map AS m ON m.via = s.customer_id AND m.customer_id = s.customer_id
        WHERE s.member
        ON CONFLICT DO NOTHING RETURNING customer_id, version),
    ended AS (
        DELETE FROM membership AS m
        WHERE m.segment_id = :segment AND m.customer_id = ANY(ARRAY(SELECT customer_id FROM noted WHERE NOT member))
        RETURNING m.customer_id, nextval('membership_version') AS version),
    moved AS (SELECT *, true AS entered FROM entered UNION ALL SELECT *, false FROM ended),
    changed AS (INSERT INTO membership_change (segment_id, customer_id, entered, at)
                SELECT :segment, customer_id, entered, :at FROM moved)
    INSERT INTO staged_member (operation_id, customer_id, member, version)
    SELECT :operation, customer_id, entered, version FROM moved""")
_TOLD = text("""
    WITH taken AS (
        DELETE FROM staged_member
        WHERE operation_id = :operation AND customer_id = ANY(ARRAY(
            SELECT customer_id FROM staged_member WHERE operation_id = :operation AND version IS NOT NULL
            ORDER BY customer_id LIMIT :limit))
        RETURNING customer_id, member, version)
    SELECT CAST(o.input ->> 'segment_id' AS uuid) AS segment_id, taken.customer_id, taken.member, taken.version
    FROM taken CROSS JOIN operation AS o WHERE o.id = :operation ORDER BY taken.customer_id""")


async def page(session: ReadSession, segment_id: UUID, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """Members by customer id."""
    rows = await session.execute(
        text("""SELECT customer_id, since FROM membership WHERE segment_id = :id
                AND (CAST(:after AS uuid) IS NULL OR customer_id > :after) ORDER BY customer_id LIMIT :limit"""),
        {"id": segment_id, "after": after, "limit": limit},
    )
    return rows.all()


async def page_at(
    session: ReadSession, segment_id: UUID, at: datetime, after: UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """Who was a member at a time, by customer id, as it was known then."""
    rows = await session.execute(_PAGE_AT, {"id": segment_id, "at": at, "after": after, "limit": limit})
    return rows.all()


async def segments_of(session: ReadSession, customer: UUID, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """The segments that a customer is in, by id: segment_id, name, since."""
    rows = await session.execute(
        text("""SELECT m.segment_id, s.name, m.since FROM membership AS m JOIN segment AS s ON s.id = m.segment_id
                WHERE m.customer_id = :customer AND s.state <> 'archived'
                  AND (CAST(:after AS uuid) IS NULL OR m.segment_id > :after)
                ORDER BY m.segment_id LIMIT :limit"""),
        {"customer": customer, "after": after, "limit": limit},
    )
    return rows.all()


async def changes_of(session: ReadSession, customer: UUID, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """Entries and exits under any id that a customer of today bears, the newest first."""
    rows = await session.execute(
        text("""SELECT c.id, c.segment_id, s.name, c.customer_id, c.entered, c.at
                FROM identity_map AS m CROSS JOIN segment AS s
                JOIN membership_change AS c ON c.segment_id = s.id AND c.customer_id = m.via
                WHERE m.customer_id = :customer AND (CAST(:before AS bigint) IS NULL OR c.id < :before)
                ORDER BY c.id DESC LIMIT :limit"""),
        {"customer": customer, "before": before, "limit": limit},
    )
    return rows.all()


async def fresh(session: ReadSession) -> datetime:
    """Everything heard before this instant is in every membership."""
    found: datetime = (await session.execute(text(f"SELECT {FRESH}"))).scalar_one()
    return found


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
                WHERE m.customer_id = ANY(:ids) AND s.state <> 'archived' ORDER BY s.name, s.id"""),
        {"ids": list(customers)},
    )
    found: dict[UUID, list[dict[str, str]]] = {}
    for customer, segment, name in rows:
        found.setdefault(customer, []).append({"id": str(segment), "name": name})
    return found


async def drift(session: ReadSession, segment_id: UUID, held: Sql) -> list[UUID]:
    """Who belongs in a segment and is not, or is and does not belong; without those who are about to be computed."""
    rows = await session.execute(
        text(f"""WITH held AS MATERIALIZED ({held.text}),
                      now_in AS (SELECT customer_id FROM membership WHERE segment_id = :this_segment)
                 SELECT customer_id FROM held FULL JOIN now_in USING (customer_id)
                 WHERE (held.customer_id IS NULL OR now_in.customer_id IS NULL)
                   AND NOT EXISTS (SELECT FROM stale AS s WHERE s.customer_id = coalesce(held.customer_id, now_in.customer_id))
                   AND NOT EXISTS (SELECT FROM timer AS t WHERE t.kind = 'flip' AND t.due_at <= clock_timestamp()
                       AND t.key = coalesce(held.customer_id, now_in.customer_id)::text)"""),  # noqa: E501, S608 (to_sql binds)
        {**held.params, "this_segment": segment_id},
    )
    return list(rows.scalars())


async def stage(session: WriteSession, operation: UUID, segment_id: UUID, held: Sql) -> int:
    """Note who is to enter a segment and who is to leave it; returns how many."""
    noted = await session.execute(
        text(f"""WITH held AS MATERIALIZED ({held.text}),
                      now_in AS (SELECT customer_id FROM membership WHERE segment_id = :this_segment)
                 INSERT INTO staged_member (operation_id, customer_id, member)
                 SELECT CAST(:operation AS uuid), customer_id, now_in.customer_id IS NULL
                 FROM held FULL JOIN now_in USING (customer_id)
                 WHERE held.customer_id IS NULL OR now_in.customer_id IS NULL"""),  # noqa: S608 (to_sql binds)
        {**held.params, "this_segment": segment_id, "operation": operation},
    )
    return int(noted.rowcount)  # type: ignore[attr-defined]


async def switch(session: WriteSession, operation: UUID, segment_id: UUID, at: datetime) -> int:
    """Let everybody who was noted enter or leave, all at once; returns how many did."""
    moved = await session.execute(_SWITCH, {"operation": operation, "segment": segment_id, "at": at})
    return int(moved.rowcount)  # type: ignore[attr-defined]


async def told(session: WriteSession, operation: UUID, limit: int) -> Sequence[Row[Any]]:
    """Some of those who entered or left, taken off the notes: segment_id, customer_id, member, version."""
    return (await session.execute(_TOLD, {"operation": operation, "limit": limit})).all()


async def unstage(session: WriteSession, operation: UUID) -> None:
    """Forget what an operation has noted."""
    await session.execute(text("DELETE FROM staged_member WHERE operation_id = :id"), {"id": operation})


async def unstage_leftovers(session: WriteSession) -> None:
    """Forget what operations have noted and not done that are over."""
    await session.execute(
        text("""DELETE FROM staged_member WHERE version IS NULL AND operation_id NOT IN (
                    SELECT id FROM operation WHERE state IN ('queued', 'running'))""")
    )


async def untold(session: ReadSession) -> Row[Any] | None:
    """An operation that ended before it had told all that it changed: id, segment_id, name, at."""
    rows = await session.execute(
        text("""SELECT o.id, s.id AS segment_id, s.name, CAST(o.progress ->> 'at' AS timestamptz) AS at
                FROM operation AS o JOIN segment AS s ON s.id = CAST(o.input ->> 'segment_id' AS uuid)
                WHERE o.state NOT IN ('queued', 'running') AND o.progress ->> 'phase' IN ('settle', 'tell')
                  AND EXISTS (SELECT FROM staged_member AS m WHERE m.operation_id = o.id AND m.version IS NOT NULL)
                ORDER BY o.id LIMIT 1""")
    )
    return rows.one_or_none()


async def members(session: ReadSession, segment_id: UUID, limit: int) -> list[UUID]:
    """Some members of a segment."""
    statement = "SELECT customer_id FROM membership WHERE segment_id = :id ORDER BY customer_id LIMIT :limit"
    return list((await session.execute(text(statement), {"id": segment_id, "limit": limit})).scalars())


async def left_over(session: ReadSession) -> Row[Any] | None:
    """An archived segment that still has members: id, name."""
    rows = await session.execute(
        text("""SELECT id, name FROM segment WHERE state = 'archived'
                AND EXISTS (SELECT FROM membership AS m WHERE m.segment_id = segment.id) ORDER BY id LIMIT 1""")
    )
    return rows.one_or_none()
