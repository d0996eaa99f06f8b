"""Clear away aggregates: of feeds that are gone, of time that no window reaches, of words beyond the most.

Rows that somebody is writing are left for the next time, so nobody waits for this in either direction.
"""

from datetime import datetime, timedelta

from sqlalchemy import text

from perennial.common.db import WriteSession, settings_of
from perennial.profile.computed import definitions, queries
from perennial.profile.computed.partials import MOST_WORDS
from perennial.profile.computed.plans import parsed
from perennial.profile.computed.spec import Spec
from perennial.profile.computed.windows import HOUR, window

BATCH = 10_000
SLACK = timedelta(days=2)

_DELETE = """
    DELETE FROM computed_partial WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM computed_partial WHERE {0} LIMIT :n FOR UPDATE SKIP LOCKED))"""
_ORPHANS = text(_DELETE.format("NOT feed = ANY(CAST(:feeds AS int[]))"))
_EXPIRED = text(_DELETE.format("feed = :feed AND bucket < :edge"))
_SURPLUS = text("""
    WITH full_ones AS (
        SELECT via, feed, bucket FROM computed_partial WHERE word <> ''
        GROUP BY 1, 2, 3 HAVING count(*) > :most LIMIT 100),
    ranked AS (
        SELECT via, feed, bucket, word, row_number() OVER (PARTITION BY via, feed, bucket ORDER BY md5(word)) AS place
        FROM full_ones JOIN computed_partial USING (via, feed, bucket) WHERE word <> ''),
    free AS (
        SELECT p.ctid FROM computed_partial AS p JOIN ranked USING (via, feed, bucket, word)
        WHERE ranked.place > :most FOR UPDATE OF p SKIP LOCKED),
    gone AS (
        DELETE FROM computed_partial WHERE ctid IN (SELECT ctid FROM free) RETURNING via, feed, bucket, n)
    INSERT INTO computed_partial AS p (via, feed, bucket, word, n)
    SELECT via, feed, bucket, '', sum(n) FROM gone GROUP BY 1, 2, 3
    ON CONFLICT (via, feed, bucket, word) DO UPDATE SET n = p.n + excluded.n""")


async def prune(session: WriteSession, now: datetime) -> int:
    """Delete some rows; how many, 0 when there are none."""
    settings = settings_of(session)
    feeds = {row.id: parsed(row.spec) for row in await queries.feeds(session)}
    longest: dict[int, timedelta] = {}
    for feed_id, document in await definitions.using(session):
        longest[feed_id] = max(longest.get(feed_id, HOUR), Spec.model_validate_json(document).span or HOUR)
    deleted = await _run(session, _ORPHANS, feeds=list(feeds))
    for feed_id, feed in feeds.items():
        if feed.by not in {"ever", "month"} and feed_id in longest:
            since = window(feed.by, longest[feed_id], settings.zone, now).since
            deleted += await _run(session, _EXPIRED, feed=feed_id, edge=since - SLACK)
    surplus = await session.execute(_SURPLUS, {"most": MOST_WORDS})
    return deleted + int(surplus.rowcount)  # type: ignore[attr-defined]


async def _run(session: WriteSession, statement: object, **bound: object) -> int:
    found = await session.execute(statement, {"n": BATCH, **bound})  # type: ignore[call-overload]
    return int(found.rowcount)
