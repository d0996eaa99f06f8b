"""Measures that were written, in SQL."""

from datetime import date
from typing import Any

from sqlalchemy import text

from perennial.common.db import ReadSession

_SOURCES = text("""
    SELECT day, source, measures, sampled, measured_at FROM quality_source_day
    WHERE day BETWEEN :since AND :until AND (CAST(:source AS text) IS NULL OR source = :source)
      AND (day, source) > (CAST(:day AS date), CAST(:after AS text)) ORDER BY day, source LIMIT :limit""")
_TRAITS = text("""
    SELECT * FROM quality_trait_day
    WHERE day BETWEEN :since AND :until AND (CAST(:source AS text) IS NULL OR source = :source)
      AND (CAST(:key AS text) IS NULL OR key = :key)
      AND (day, source, key) > (CAST(:day AS date), CAST(:after AS text), CAST(:after_key AS text))
    ORDER BY day, source, key LIMIT :limit""")
_LATEST = text("SELECT max(day) FROM quality_source_day WHERE day <= :today AND source = :source")


async def latest(session: ReadSession, source: str, today: date) -> date | None:
    """The last day that a source was measured, up to today."""
    found: date | None = (await session.execute(_LATEST, {"source": source, "today": today})).scalar_one()
    return found


async def sources(
    session: ReadSession, source: str | None, since: date, until: date, after: tuple[date, str], limit: int
) -> list[dict[str, Any]]:
    """Rows of sources, by day and source."""
    bound = {"source": source, "since": since, "until": until, "day": after[0], "after": after[1], "limit": limit}
    return [dict(row) for row in (await session.execute(_SOURCES, bound)).mappings()]


async def traits(
    session: ReadSession, source: str | None, key: str | None, since: date, until: date,
    after: tuple[date, str, str], limit: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of traits, by day, source and trait."""
    bound = {"source": source, "key": key, "since": since, "until": until, "limit": limit}
    place = {"day": after[0], "after": after[1], "after_key": after[2]}
    return [dict(row) for row in (await session.execute(_TRAITS, {**bound, **place})).mappings()]
