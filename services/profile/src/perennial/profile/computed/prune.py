"""Clear away aggregates: of feeds that are gone, of time that no window reaches, of words beyond the most.

Rows that somebody is writing are left for the next time, so nobody waits for this in either direction.
"""

from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from sqlalchemy import text

from perennial.common.db import WriteSession, settings_of
from perennial.profile.computed import queries
from perennial.profile.computed.partials import MOST_WORDS
from perennial.profile.computed.plans import parsed
from perennial.profile.computed.spec import FINE, Feed
from perennial.profile.computed.windows import window

BATCH = 10_000
SLACK = timedelta(days=2)

# Whether a feed is gone is asked in the same statement: one that was declared a moment ago is not taken for gone.
_PAST = text("""
    DELETE FROM computed_partial WHERE ctid = ANY(ARRAY(
        SELECT p.ctid FROM computed_partial AS p
        LEFT JOIN unnest(CAST(:feeds AS int[]), CAST(:edges AS timestamptz[])) AS f(feed, edge) ON f.feed = p.feed
        WHERE p.bucket < f.edge OR NOT EXISTS (SELECT FROM computed_feed AS known WHERE known.id = p.feed)
        LIMIT :n FOR UPDATE OF p SKIP LOCKED))""")
_SURPLUS = text("""
    WITH full_ones AS (
        SELECT via, feed, bucket FROM computed_partial WHERE word <> '' AND feed = ANY(CAST(:feeds AS int[]))
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
    zone = settings_of(session).zone
    feeds = {row.id: parsed(row.spec) for row in await queries.feeds(session)}
    edges = {feed_id: edge for feed_id, feed in feeds.items() if (edge := _edge(feed, zone, now)) is not None}
    past = await session.execute(_PAST, {"n": BATCH, "feeds": list(edges), "edges": list(edges.values())})
    counted = [feed_id for feed_id, feed in feeds.items() if feed.keeps == "words" and feed.property]
    surplus = await session.execute(_SURPLUS, {"most": MOST_WORDS, "feeds": counted})
    return int(past.rowcount) + int(surplus.rowcount)  # type: ignore[attr-defined]


def _edge(feed: Feed, zone: tzinfo, now: datetime) -> datetime | None:
    """No window over the feed, declared today or later, asks for what lies before it; None: all may be asked for."""
    if feed.by in {"ever", "month"} or (feed.by == "day" and feed.reach is None):
        return None
    zone = ZoneInfo(feed.timezone) if feed.timezone else zone
    return window(feed.by, timedelta(days=feed.reach) if feed.reach else FINE, zone, now).since - SLACK
