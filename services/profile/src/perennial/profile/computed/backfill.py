"""Count the past for a feed that was declared later, while events go on.

From the newest month to the oldest, and in each by identifier, some thousand events a step. A batch of events counts
what the backfill has passed and leaves the rest to it; the lock `queries.hold` sees to it that no batch reads how far
it is and commits after it has gone on. So every event is counted once, whoever dies when.
"""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession, raw, settings_of
from perennial.profile.computed import definitions, queries
from perennial.profile.computed.plans import compile_feed, parsed
from perennial.profile.computed.service import Plans, stored
from perennial.profile.computed.spec import Feed

STEP = 10_000
AT_ONCE = 5_000  # one identifier may have a million
FIRST = UUID(int=0)
_PARTITION = "substring(relid::text from 'event_([0-9]{4}_[0-9]{2})')"
_MONTH = text(f"""
    SELECT to_date(max({_PARTITION}), 'YYYY_MM') FROM pg_partition_tree('event')
    WHERE isleaf AND (CAST(:before AS date) IS NULL OR {_PARTITION} < to_char(CAST(:before AS date), 'YYYY_MM'))
    """)  # noqa: S608 (ours)
_BOUND = text("""
    SELECT via FROM event WHERE timestamp >= :since AND timestamp < :until AND via > :via
    ORDER BY via OFFSET :step LIMIT 1""")
_EVENTS = """
    SELECT id, via, source, message_id, type, name, timestamp, received_at, live, body::text AS body FROM event
    WHERE timestamp >= $1 AND timestamp < $2 AND via > $3 AND ($4::uuid IS NULL OR via <= $4)
      AND ((type = 'track' AND name = ANY($5::text[])) OR type = ANY($6::text[]))"""


async def advance(session: WriteSession) -> bool:
    """One step of the feed that was declared first; whether there is one."""
    row = await definitions.next_building(session)
    if row is None:
        return False
    if row.month is None:
        await queries.hold(session)
        await _go_to(session, row.id, await _month_before(session, None))
        return True
    since, until = _instants(row.month)
    asked = {"since": since, "until": until, "via": row.via, "step": STEP}
    bound: UUID | None = (await session.execute(_BOUND, asked)).scalar_one_or_none()
    await queries.hold(session)
    await _count(session, row.id, parsed(row.spec), (since, until, row.via, bound))
    if bound is not None:
        await definitions.advance(session, row.id, row.month, bound)
    else:
        await _go_to(session, row.id, await _month_before(session, row.month))
    return True


async def _count(session: WriteSession, feed_id: int, feed: Feed, part: tuple[Any, ...]) -> None:
    settings = settings_of(session)
    plans = Plans([compile_feed(feed_id, feed, settings.zone, settings.currency)])
    found = await (await raw(session)).cursor(_EVENTS, *part, list(feed.events), list(feed.types))
    while rows := await found.fetch(AT_ONCE):
        await queries.add(session, plans.fold(stored(dict(row)) for row in rows))


async def _month_before(session: ReadSession, month: date | None) -> date | None:
    """The newest month of the timeline, or the newest before another."""
    found: date | None = (await session.execute(_MONTH, {"before": month})).scalar_one()
    return found


async def _go_to(session: WriteSession, feed_id: int, month: date | None) -> None:
    await definitions.advance(session, feed_id, month, None if month is None else FIRST)


def _instants(month: date) -> tuple[datetime, datetime]:
    ahead = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return datetime(month.year, month.month, 1, tzinfo=UTC), datetime(ahead.year, ahead.month, 1, tzinfo=UTC)
