"""The SQL of what is kept of the past: what is promised, and dropping the rest in parts."""

from datetime import datetime, timedelta

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession

# From here on nobody is told who was in before; only then is anything dropped.
_PROMISE = text("""
    INSERT INTO history_keeping AS k (id, changes_since) VALUES (1, now() - CAST(:keep AS interval))
    ON CONFLICT (id) DO UPDATE SET changes_since = greatest(k.changes_since, excluded.changes_since)
    RETURNING changes_since""")
_SWEPT = text("UPDATE history_keeping SET changes_swept = :until WHERE id = 1")
_BLOCKS = text("""
    SELECT pg_relation_size('membership_change') / CAST(current_setting('block_size') AS bigint)""")
# Whatever was older than what the last sweep left is as it has to be, so a membership without a change since then is
# not looked at. Of each the last change before the promise stays where it is an entry: they were in then. From the
# memberships to their changes goes the index, whatever the statistics say.
_SWEEP = text("""
    WITH which AS MATERIALIZED (
        SELECT DISTINCT segment_id, customer_id FROM membership_change
        WHERE ctid >= CAST(CAST(:low AS text) AS tid) AND ctid < CAST(CAST(:high AS text) AS tid) AND at < :until
          AND at >= coalesce((SELECT changes_swept FROM history_keeping), '-infinity')),
    old AS MATERIALIZED (
        SELECT c.place, c.entered, row_number() OVER (
            PARTITION BY which.segment_id, which.customer_id ORDER BY c.at DESC, c.id DESC) AS n
        FROM which CROSS JOIN LATERAL (
            SELECT ctid AS place, id, entered, at FROM membership_change
            WHERE segment_id = which.segment_id AND customer_id = which.customer_id AND at < :until OFFSET 0) AS c)
    DELETE FROM membership_change WHERE ctid = ANY(ARRAY(SELECT place FROM old WHERE n > 1 OR NOT entered))""")
_DROP_VERSIONS = text("""
    DELETE FROM segment_version WHERE (segment_id, version) IN (
        SELECT v.segment_id, v.version FROM segment_version AS v JOIN segment AS s ON s.id = v.segment_id
        WHERE v.version NOT IN (s.version, coalesce(s.serving_version, s.version)) AND EXISTS (
            SELECT FROM segment_version AS next WHERE next.segment_id = v.segment_id AND next.version > v.version
               AND next.at < now() - CAST(:keep AS interval))
        LIMIT :limit)""")


async def promise(session: WriteSession, keep: timedelta) -> datetime:
    """Who was in is told of the time since then, and of none before from this commit on. It never goes back."""
    found: datetime = (await session.execute(_PROMISE, {"keep": keep})).scalar_one()
    return found


async def changes_since(session: ReadSession) -> datetime | None:
    """Changes of membership before it may have been dropped; None: none has."""
    return (await session.execute(text("SELECT changes_since FROM history_keeping"))).scalar_one_or_none()


async def blocks(session: ReadSession) -> int:
    """How large the changes of membership are, in blocks of the disk."""
    return int((await session.execute(_BLOCKS)).scalar_one())


async def sweep(session: WriteSession, until: datetime, low: int, high: int) -> int:
    """Drop what is not promised of the memberships in some blocks; returns how many changes."""
    asked = {"until": until, "low": f"({low},0)", "high": f"({high},0)"}
    return int((await session.execute(_SWEEP, asked)).rowcount)  # type: ignore[attr-defined]


async def swept(session: WriteSession, until: datetime) -> None:
    """All of it was looked through."""
    await session.execute(_SWEPT, {"until": until})


async def drop_versions(session: WriteSession, keep: timedelta, limit: int) -> int:
    """Drop versions that others had followed before then, but for the newest and the one that serves; how many."""
    return int((await session.execute(_DROP_VERSIONS, {"keep": keep, "limit": limit})).rowcount)  # type: ignore[attr-defined]
