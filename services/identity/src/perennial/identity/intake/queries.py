"""Counts of events by source, hour and outcome, in SQL."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession, raw

Place = tuple[str, int, str]
"""Source, hour since 1970, outcome."""

_ADD = """
    INSERT INTO intake_tally (source, hour, outcome, count)
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[])"""
_ADD_UP = text("""
    WITH gone AS (
        DELETE FROM intake_tally WHERE id IN (SELECT id FROM intake_tally ORDER BY id LIMIT :most) RETURNING *)
    INSERT INTO intake AS i (source, hour, outcome, count)
    SELECT source, hour, outcome, sum(count) FROM gone GROUP BY source, hour, outcome ORDER BY source, hour, outcome
    ON CONFLICT (source, hour, outcome) DO UPDATE SET count = i.count + excluded.count
    RETURNING source, hour, outcome, count AS number""")
_SHARED = text("""
    SELECT known.source, count(shared.via) AS value
    FROM (SELECT DISTINCT source FROM intake) AS known
    LEFT JOIN seen ON seen.source = known.source LEFT JOIN shared ON shared.via = seen.via
    GROUP BY known.source ORDER BY known.source""")
_FORGET = text(
    "DELETE FROM intake WHERE hour < (SELECT max(hour) FROM intake WHERE hour <= :now) - CAST(:kept AS interval)"
)


async def add(session: WriteSession, counts: Mapping[Place, int]) -> None:
    """Count; the transaction has begun."""
    rows = [
        (source, datetime.fromtimestamp(hour * 3600, UTC), outcome, number)
        for (source, hour, outcome), number in counts.items()
    ]
    if rows:
        await (await raw(session)).execute(_ADD, *zip(*rows, strict=True))


async def add_up(session: WriteSession, most: int) -> Sequence[Row[Any]]:
    """Add batches' counts to the totals; the totals that have changed."""
    return (await session.execute(_ADD_UP, {"most": most})).all()


async def shared(session: ReadSession) -> Sequence[Row[Any]]:
    """How many identifiers of each source belong to several people."""
    return (await session.execute(_SHARED)).all()


async def forget(session: WriteSession, now: datetime, kept: timedelta) -> None:
    """Forget totals that are older than the newest by so much."""
    await session.execute(_FORGET, {"now": now, "kept": kept})
