"""What is usual of a trait, in SQL: the distribution of what was said, and the limits that were made of it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.profile.quality.measuring.queries import Sample
from perennial.profile.quality.rules.scales import SQL, Scale

_BASELINE = """
    WITH said AS MATERIALIZED (
        SELECT v FROM (
            SELECT {1} AS v FROM trait {0}
            WHERE key = :key AND value IS NOT NULL AND fits AND source <> 'manual'
              AND (CAST(:source AS text) IS NULL OR source = CAST(:source AS text))
            UNION ALL
            SELECT {1} FROM quality_finding
            WHERE rule = :rule AND state = 'open' AND action IN ('null', 'quarantine') AND value IS NOT NULL) AS every
        WHERE v IS NOT NULL),
    middle AS (
        SELECT percentile_cont(ARRAY[0.25, 0.5, 0.75]) WITHIN GROUP (ORDER BY CAST(v AS double precision)) AS q,
               count(*) AS number FROM said)
    SELECT CAST(q[1] AS numeric) AS lower, CAST(q[2] AS numeric) AS centre, CAST(q[3] AS numeric) AS upper, number, (
        SELECT CAST(percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(CAST(v AS double precision) - q[2])) AS numeric)
        FROM said) AS deviation
    FROM middle"""
_CURRENCY = """
    SELECT upper(value ->> 'currency') AS unit FROM trait {0}
    WHERE key = :key AND fits AND source <> 'manual' AND jsonb_typeof(value -> 'currency') = 'string'
      AND (CAST(:source AS text) IS NULL OR source = CAST(:source AS text))
    GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"""
_KEEP_BASELINE = text("""
    INSERT INTO quality_baseline AS b (rule, low, high, centre, spread, count, sampled, at, scale, unit)
    SELECT id, :low, :high, :centre, :spread, :count, :sampled, :at, :scale, CAST(:unit AS text) FROM quality_rule
    WHERE id = :rule AND version = :version AND NOT archived FOR SHARE
    ON CONFLICT (rule) DO UPDATE SET low = excluded.low, high = excluded.high, centre = excluded.centre,
        spread = excluded.spread, count = excluded.count, sampled = excluded.sampled, at = excluded.at,
        scale = excluded.scale, unit = excluded.unit""")


async def currency(session: ReadSession, key: str, source: str | None, how: Sample) -> str | None:
    """In which most amounts are; None where there are none."""
    statement = text(_CURRENCY.format(how.clause))
    found: str | None = (await session.execute(statement, {"key": key, "source": source})).scalar_one_or_none()
    return found


async def distribution(
    session: ReadSession, rule: UUID, key: str, source: str | None, how: Sample, scale: Scale
) -> Row[Any]:
    """(lower, centre, upper, number, deviation) of the values that were said, those that the rule held back too."""
    statement = text(_BASELINE.format(how.clause, SQL[scale.kind]))
    bound = {"rule": rule, "key": key, "source": source}
    return (await session.execute(statement, {**bound, **({"unit": scale.unit} if scale.unit else {})})).one()


async def keep_baseline(session: WriteSession, values: Mapping[str, Any]) -> None:
    """Write the baseline of a version of a rule."""
    await session.execute(_KEEP_BASELINE, dict(values))


async def drop_baseline(session: WriteSession, rule: UUID) -> None:
    """Forget a rule's baseline."""
    await session.execute(text("DELETE FROM quality_baseline WHERE rule = :rule"), {"rule": rule})
