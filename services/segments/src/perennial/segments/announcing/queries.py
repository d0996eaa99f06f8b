"""The SQL of announcements."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession
from perennial.common.packs import COUNTED

# Whoever was merged into another is no customer of their own: they leave as soon as they are computed.
_MEMBERS = """
    FROM membership AS m JOIN identity_map AS i ON i.via = m.customer_id AND i.customer_id = m.customer_id
    WHERE m.segment_id = :id AND (CAST(:since AS timestamptz) IS NULL OR m.since >= :since)"""
_COUNT = text(f"SELECT count(*) {_MEMBERS}")
_PAGE = text(f"""
    SELECT m.customer_id, m.since, m.version {_MEMBERS} AND (CAST(:after AS uuid) IS NULL OR m.customer_id > :after)
    ORDER BY m.customer_id LIMIT :limit""")
_WAITING = text(f"""
    SELECT coalesce(sum({COUNTED}), 0)
    FROM (SELECT subject, headers FROM outbox WHERE published_at IS NULL LIMIT :most) AS waiting""")  # noqa: S608 (ours)
_RUNNING = text("""
    SELECT EXISTS (SELECT FROM operation WHERE kind = :kind AND state IN ('queued', 'running')
                   AND input ->> 'segment_id' = CAST(:id AS text))""")


async def running(session: ReadSession, kind: str, segment_id: UUID) -> bool:
    """Whether there is an announcement of the segment that has not ended."""
    return bool((await session.execute(_RUNNING, {"kind": kind, "id": str(segment_id)})).scalar_one())


async def count(session: ReadSession, segment_id: UUID, since: datetime | None) -> int:
    """How many members there are to announce."""
    return int((await session.execute(_COUNT, {"id": segment_id, "since": since})).scalar_one())


async def page(
    session: ReadSession, segment_id: UUID, since: datetime | None, after: UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """Members by customer id: customer_id, since, version."""
    values = {"id": segment_id, "since": since, "after": after, "limit": limit}
    return (await session.execute(_PAGE, values)).all()


async def waiting(session: ReadSession, most: int) -> bool:
    """Whether so many facts, or more, wait to be published."""
    return int((await session.execute(_WAITING, {"most": most})).scalar_one()) >= most
