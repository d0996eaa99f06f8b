"""The SQL of the timeline and its counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession, raw

COLUMNS = ("id", "via", "source", "message_id", "type", "name", "timestamp", "received_at", "live", "body", "sent_at")

_MONTHS = text("SELECT ensure_event_months(CAST(:months AS date[]))")
_COUNT = """
    INSERT INTO counter AS c (via, name, count, first, last)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
    ON CONFLICT (via, name) DO UPDATE SET count = c.count + excluded.count,
        first = least(c.first, excluded.first), last = greatest(c.last, excluded.last)"""
_ACTIVE = """
    INSERT INTO activity AS a (via, events, first_seen, last_seen, latest)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
    ON CONFLICT (via) DO UPDATE SET events = a.events + excluded.events,
        first_seen = least(a.first_seen, excluded.first_seen), last_seen = greatest(a.last_seen, excluded.last_seen),
        latest = greatest(a.latest, excluded.latest)"""
# One index range per identifier; the bounds let Postgres skip the months in which the identifier was silent.
_TIMELINE = text("""
    SELECT e.* FROM identity_map AS m JOIN activity AS a USING (via) CROSS JOIN LATERAL (
        SELECT id, message_id, type, name, timestamp, received_at, sent_at, source, live, via, body,
            coalesce(body ->> 'originalTimestamp', body ->> 'timestamp') AS original_timestamp
        FROM event
        WHERE via = m.via AND timestamp >= greatest(a.first_seen, CAST(:since AS timestamptz))
          AND timestamp <= least(a.latest, CAST(:until AS timestamptz), CAST(:at AS timestamptz))
          AND (CAST(:at AS timestamptz) IS NULL OR (timestamp, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid)))
          AND (CAST(:name AS text) IS NULL OR name = CAST(:name AS text))
          AND (CAST(:type AS text) IS NULL OR type = CAST(:type AS text))
        ORDER BY timestamp DESC, id DESC LIMIT :limit) AS e
    WHERE m.customer_id = (SELECT customer_id FROM identity_map WHERE via = :any_id)
    ORDER BY e.timestamp DESC, e.id DESC LIMIT :limit""")
_BY_MESSAGE = text("""
    SELECT id, message_id, type, name, timestamp, received_at, sent_at, source, live, via, body,
        coalesce(body ->> 'originalTimestamp', body ->> 'timestamp') AS original_timestamp
    FROM event
    WHERE message_id = :message_id AND (CAST(:source AS text) IS NULL OR source = CAST(:source AS text))
    ORDER BY received_at DESC, id DESC LIMIT 1""")


@dataclass(frozen=True)
class Filter:
    """Which events of a customer to show; `after` is the (timestamp, id) of the last one seen."""

    name: str | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, UUID] | None = None


async def ensure_months(session: WriteSession, months: Sequence[date]) -> None:
    """Create the partitions of these months (any day in each) that do not exist yet.

    Writers of other months go on meanwhile; another creator waits until this transaction ends.
    """
    await session.execute(_MONTHS, {"months": months})


async def append(session: WriteSession, rows: Sequence[Sequence[Any]]) -> None:
    """COPY rows in the order of COLUMNS; their months must exist."""
    connection = await raw(session)
    await connection.copy_records_to_table("event", records=rows, columns=COLUMNS)


async def count(session: WriteSession, rows: Sequence[Sequence[Any]]) -> None:
    """Add (via, name, count, first, last), unique and sorted by via and name."""
    if rows:
        await (await raw(session)).execute(_COUNT, *zip(*rows, strict=True))


async def note_activity(session: WriteSession, rows: Sequence[Sequence[Any]]) -> None:
    """Add (via, events, first_seen, last_seen, latest), unique and sorted by via."""
    await (await raw(session)).execute(_ACTIVE, *zip(*rows, strict=True))


async def of_customer(session: ReadSession, any_id: UUID, wanted: Filter, limit: int) -> Sequence[Row[Any]]:
    """Events of all identifiers of the customer whom an id means today, newest first."""
    at, last_id = wanted.after or (None, None)
    values = {
        "any_id": any_id,
        "name": wanted.name,
        "type": wanted.type,
        "since": wanted.since,
        "until": wanted.until,
        "at": at,
        "id": last_id,
        "limit": limit,
    }
    return (await session.execute(_TIMELINE, values)).all()


async def by_message(session: ReadSession, message_id: str, source: str | None) -> Row[Any] | None:
    """The event of a message id; of several sources' the one received last."""
    found = await session.execute(_BY_MESSAGE, {"message_id": message_id, "source": source})
    return found.one_or_none()
