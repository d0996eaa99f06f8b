"""The SQL of tiers."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.programme.definition import Definition

# The tier rests on the newest points that reach its threshold; it must be looked at again when the oldest of those
# leave the window.
_STANDINGS = text("""
    WITH owner AS MATERIALIZED (
        SELECT customer_id, via FROM identity_map WHERE customer_id = ANY(:ids)
    ), recent AS (
        SELECT o.customer_id, l.earned_at,
               sum(l.points - l.reversed) OVER (PARTITION BY o.customer_id ORDER BY l.earned_at DESC, l.id) AS upto
        FROM owner o JOIN lot l ON l.via = o.via
        WHERE l.qualifies AND l.currency = :currency AND l.points > l.reversed
          AND l.earned_at > :since AND l.earned_at <= :now
    ), total AS (
        SELECT o.customer_id, coalesce(r.points, 0) AS points
        FROM (SELECT DISTINCT o.customer_id FROM owner o JOIN account a ON a.via = o.via) AS o
        LEFT JOIN (SELECT customer_id, max(upto) AS points FROM recent GROUP BY customer_id) AS r
            ON r.customer_id = o.customer_id
    ), tier AS (
        SELECT t.customer_id, CAST(t.points AS bigint) AS points, s.name, s.threshold
        FROM total t CROSS JOIN LATERAL (
            SELECT name, threshold
            FROM unnest(CAST(:names AS text[]), CAST(:thresholds AS bigint[])) AS x (name, threshold)
            WHERE threshold <= t.points ORDER BY threshold DESC LIMIT 1) AS s
    )
    SELECT t.customer_id, t.points, t.name AS tier,
           max(r.earned_at) FILTER (WHERE t.threshold > 0 AND r.upto >= t.threshold) AS rests_on
    FROM tier t LEFT JOIN recent r ON r.customer_id = t.customer_id
    GROUP BY t.customer_id, t.points, t.name""")
_UPSERT = text("""
    INSERT INTO tier_state AS s (customer_id, tier, since, points, review_at, version)
    SELECT n.customer_id, n.tier, :now, n.points, n.review_at, nextval('tier_version')
    FROM unnest(CAST(:ids AS uuid[]), CAST(:tiers AS text[]), CAST(:points AS bigint[]),
                CAST(:reviews AS timestamptz[])) AS n (customer_id, tier, points, review_at)
    ON CONFLICT (customer_id) DO UPDATE SET
        tier = excluded.tier, points = excluded.points, review_at = excluded.review_at,
        since = CASE WHEN s.tier = excluded.tier THEN s.since ELSE excluded.since END,
        version = CASE WHEN s.tier = excluded.tier THEN s.version ELSE excluded.version END
    WHERE (s.tier, s.points, s.review_at) IS DISTINCT FROM (excluded.tier, excluded.points, excluded.review_at)
    RETURNING customer_id, tier, since, version""")


async def standings(
    session: ReadSession, customers: Collection[UUID], rules: Definition, since: datetime, now: datetime
) -> list[Row[Any]]:
    """The points within the window and the tier that they make, of every customer who has an account."""
    found = await session.execute(
        _STANDINGS,
        {
            "ids": list(customers),
            "since": since,
            "now": now,
            "currency": rules.tiers_rest_on,
            "names": [tier.name for tier in rules.tiers],
            "thresholds": [tier.threshold for tier in rules.tiers],
        },
    )
    return list(found)


async def states(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, str]:
    """The tiers that are written down."""
    rows = await session.execute(
        text("SELECT customer_id, tier FROM tier_state WHERE customer_id = ANY(:ids)"), {"ids": list(customers)}
    )
    return {row.customer_id: row.tier for row in rows}


async def write(session: WriteSession, rows: Sequence[Row[Any]], window: timedelta, now: datetime) -> list[Row[Any]]:
    """Write what differs; returns those rows."""
    found = await session.execute(
        _UPSERT,
        {
            "now": now,
            "ids": [row.customer_id for row in rows],
            "tiers": [row.tier for row in rows],
            "points": [row.points for row in rows],
            "reviews": [row.rests_on and row.rests_on + window for row in rows],
        },
    )
    return list(found)


async def remove(session: WriteSession, customers: Collection[UUID]) -> None:
    """Forget the tiers of customers that are no more."""
    await session.execute(text("DELETE FROM tier_state WHERE customer_id = ANY(:ids)"), {"ids": list(customers)})


async def due(session: ReadSession, now: datetime) -> list[UUID]:
    """Customers whose tier rests on points that have left the window."""
    found = await session.execute(text("SELECT customer_id FROM tier_state WHERE review_at <= :now"), {"now": now})
    return list(found.scalars())
