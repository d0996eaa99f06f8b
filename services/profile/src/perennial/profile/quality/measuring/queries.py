"""What is measured, in SQL: set-based, on a sample of the customers where there are many."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.profile.quality.findings.records import NOBODY

KEPT_DAYS, KEPT_HOURS = 400, timedelta(days=30)
MOST_TRAITS = 2_000  # of a source: whoever makes up names must not fill the table
WINDOW = timedelta(days=6)  # and the day itself
RECENT = timedelta(days=2)

_DROP = text("DELETE FROM quality_trait_day WHERE day = :day")
# Who a source's customers are: events of theirs came from it.
_MEASURE = """
    WITH looked AS MATERIALIZED (SELECT customer_id, traits FROM customer {0}),
    owned AS MATERIALIZED (SELECT customer_id, via FROM looked JOIN identity_map USING (customer_id)),
    member AS MATERIALIZED (
        SELECT DISTINCT s.source, owned.customer_id
        FROM owned JOIN activity USING (via) CROSS JOIN unnest(activity.sources) AS s (source)),
    size AS (SELECT source, count(*) AS customers FROM member GROUP BY source),
    shown AS (
        SELECT member.source, k.key, count(*) AS shown
        FROM member JOIN looked USING (customer_id) CROSS JOIN jsonb_object_keys(looked.traits) AS k (key)
        GROUP BY member.source, k.key),
    aged AS (
        SELECT t.source, t.key, greatest(extract(epoch FROM CAST(:now AS timestamptz) - t.at), 0) AS age
        FROM owned JOIN trait AS t USING (via) WHERE t.value IS NOT NULL AND t.fits),
    held AS (
        SELECT source, key, count(*) AS held, count(*) FILTER (WHERE age > :stale) AS stale,
               percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY age) AS ages
        FROM aged GROUP BY source, key),
    required AS (
        SELECT DISTINCT size.source, r.key
        FROM jsonb_to_recordset(CAST(:required AS jsonb)) AS r (key text, source text)
        JOIN size ON r.source IS NULL OR r.source = size.source),
    alike AS (
        SELECT source, key, count(*) AS unique_of, count(DISTINCT digest) AS distinct_values
        FROM quality_value WHERE digest IS NOT NULL AND key = ANY(CAST(:unique AS text[])) GROUP BY source, key),
    place AS (
        SELECT source, key, row_number() OVER (PARTITION BY source ORDER BY required DESC, held DESC, key) AS number
        FROM (SELECT source, key, max(required) AS required, max(held) AS held FROM (
                  SELECT source, key, 0 AS required, held FROM held
                  UNION ALL SELECT source, key, 1, 0 FROM required
                  UNION ALL SELECT source, key, 1, 0 FROM alike) AS every
              GROUP BY source, key) AS each)
    INSERT INTO quality_trait_day (day, source, key, customers, shown, required, held, stale, median_age, p90_age,
        unique_of, distinct_values, sampled)
    SELECT :day, p.source, p.key, size.customers,
           CASE WHEN size.customers IS NOT NULL THEN coalesce(shown.shown, 0) END, r.key IS NOT NULL,
           coalesce(held.held, 0), coalesce(held.stale, 0), held.ages[1], held.ages[2],
           alike.unique_of, alike.distinct_values, :sampled
    FROM place AS p LEFT JOIN size USING (source) LEFT JOIN shown USING (source, key) LEFT JOIN held USING (source, key)
    LEFT JOIN required AS r USING (source, key) LEFT JOIN alike USING (source, key)
    WHERE p.number <= :most"""
_COUNT = text("""
    WITH told AS (
        SELECT day, source, key, coalesce(sum(count) FILTER (WHERE outcome <> 'cleared'), 0) AS said,
               coalesce(sum(count) FILTER (WHERE outcome = 'ok'), 0) AS accepted
        FROM trait_tally WHERE day BETWEEN :since AND :day GROUP BY day, source, key),
    ranked AS (SELECT *, row_number() OVER (PARTITION BY day, source ORDER BY said DESC, key) AS number FROM told)
    INSERT INTO quality_trait_day AS d (day, source, key, said, accepted)
    SELECT day, source, key, said, accepted FROM ranked WHERE number <= :most
    ON CONFLICT (day, source, key) DO UPDATE SET said = excluded.said, accepted = excluded.accepted""")
_TRAITS = text("""
    SELECT d.*, w.said AS week_said, w.accepted AS week_accepted
    FROM quality_trait_day AS d JOIN (
        SELECT source, key, sum(said) AS said, sum(accepted) AS accepted FROM quality_trait_day
        WHERE day BETWEEN :since AND :day GROUP BY source, key) AS w USING (source, key)
    WHERE d.day = :day ORDER BY d.source, d.key""")
_INTAKE = text("""
    SELECT source, outcome, sum(count) AS week, coalesce(sum(count) FILTER (WHERE hour >= :today), 0) AS today
    FROM quality_intake WHERE hour >= :since AND hour < :until GROUP BY source, outcome""")
_GAUGES = text("""
    SELECT source, name, value FROM quality_gauge
    UNION ALL SELECT source, 'held', count(*) FROM quality_finding
              WHERE state = 'open' AND action = 'quarantine' GROUP BY source""")
_CUSTOMERS = text("SELECT source, max(customers) AS customers FROM quality_trait_day WHERE day = :day GROUP BY source")
_WRITE = text("""
    INSERT INTO quality_source_day (day, source, measures, sampled, measured_at)
    SELECT :day, source, measures, :sampled, :now
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (source text, measures jsonb)
    ON CONFLICT (day, source) DO UPDATE SET measures = excluded.measures, sampled = excluded.sampled,
        measured_at = excluded.measured_at""")
# By the days that were measured, not by the clock: one that jumps ahead must not take the past away.
_FORGET = """
    DELETE FROM {0} WHERE day > CAST(:day AS date) + 1 OR day < (
        SELECT min(day) FROM (SELECT DISTINCT day FROM quality_source_day ORDER BY day DESC LIMIT :kept) AS d)"""
_FORGET_INTAKE = text("""
    DELETE FROM quality_intake
    WHERE hour < (SELECT max(hour) FROM quality_intake WHERE hour <= :now) - CAST(:kept AS interval)""")
_MARK = text("UPDATE quality_rule SET filled = :filled, ready = :ready WHERE id = :rule")
_UNINDEXED = text("""
    SELECT via, key, source, CAST(value AS text) AS value, at, message_id FROM trait
    WHERE via = ANY(CAST(:vias AS uuid[])) AND key = :key AND value IS NOT NULL AND fits ORDER BY via, key, source""")
_ALIKE = text("""
    WITH many AS MATERIALIZED (
        SELECT q.digest FROM quality_value AS q LEFT JOIN identity_map AS m USING (via)
        WHERE q.key = :key AND q.digest IS NOT NULL
        GROUP BY q.digest HAVING count(DISTINCT coalesce(m.customer_id, q.via)) > 1 ORDER BY q.digest LIMIT :most),
    given AS (
        SELECT q.*, coalesce(m.customer_id, q.via) AS customer,
               first_value(coalesce(m.customer_id, q.via))
                   OVER (PARTITION BY q.digest ORDER BY q.at, q.via, q.source) AS keeper
        FROM many JOIN quality_value AS q ON q.key = :key AND q.digest = many.digest
        LEFT JOIN identity_map AS m USING (via))
    INSERT INTO quality_finding AS f
        (id, rule, kind, action, key, source, via, value, at, message_id, state, found_at)
    SELECT gen_random_uuid(), :rule, 'duplicate', 'flag', g.key, g.source, g.via, t.value, t.at, t.message_id, 'open',
           :now
    FROM given AS g JOIN trait AS t USING (via, key, source)
    WHERE g.customer <> g.keeper AND (CAST(:source AS text) IS NULL OR g.source = CAST(:source AS text))
    ORDER BY g.via, g.key, g.source LIMIT :most
    ON CONFLICT (rule, via, key, source) DO UPDATE SET value = excluded.value, at = excluded.at,
        message_id = excluded.message_id, state = 'open', ended_at = NULL, found_at = excluded.found_at
    WHERE (f.at, f.message_id) < (excluded.at, excluded.message_id) OR f.state = 'gone'""")
_UNLIKE = text("""
    UPDATE quality_finding AS f SET state = 'gone', ended_at = :now
    WHERE f.rule = :rule AND f.state = 'open' AND f.action = 'flag' AND NOT EXISTS (
        SELECT FROM quality_value AS own LEFT JOIN identity_map AS mine ON mine.via = own.via
        JOIN quality_value AS q ON q.key = own.key AND q.digest = own.digest
        LEFT JOIN identity_map AS m ON m.via = q.via
        WHERE (own.key, own.via, own.source) = (f.key, f.via, f.source)
          AND coalesce(m.customer_id, q.via) <> coalesce(mine.customer_id, own.via))""")
_CROSSINGS = text("SELECT rule, source, key, crossed, value, since FROM quality_crossing WHERE rule = ANY(:rules)")
_CROSS = text("""
    INSERT INTO quality_crossing AS c (rule, source, key, crossed, value, since)
    SELECT rule, source, key, crossed, value, :now
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r (rule uuid, source text, key text, crossed boolean, value double precision)
    ON CONFLICT (rule, source, key) DO UPDATE SET value = excluded.value, crossed = excluded.crossed,
        since = CASE WHEN c.crossed = excluded.crossed THEN c.since ELSE excluded.since END""")
_MISSED = text(f"""
    INSERT INTO quality_finding AS f (id, rule, kind, action, key, source, via, value, at, message_id, state, found_at)
    SELECT gen_random_uuid(), rule, 'missing', 'flag', key, source, '{NOBODY}', to_jsonb(value), :now, '',
           'open', :now
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r (rule uuid, source text, key text, crossed boolean, value double precision)
    WHERE crossed
    ON CONFLICT (rule, via, key, source) DO UPDATE SET value = excluded.value, state = 'open', ended_at = NULL,
        at = excluded.at, found_at = CASE WHEN f.state = 'open' THEN f.found_at ELSE excluded.found_at END""")  # noqa: S608
_RECOVERED = text(f"""
    UPDATE quality_finding AS f SET state = 'gone', ended_at = :now
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (rule uuid, source text, key text, crossed boolean)
    WHERE NOT r.crossed AND f.state = 'open' AND f.via = '{NOBODY}'
      AND (f.rule, f.key, f.source) = (r.rule, r.key, r.source)""")  # noqa: S608


@dataclass(frozen=True)
class Sample:
    """How a table is read: all of it, or the share of its pages that has about so many rows."""

    clause: str
    sampled: bool


async def sample(session: ReadSession, table: str, most: int) -> Sample:
    """A sample of about `most` rows of a table that holds more; the same pages every time."""
    plan = (await session.execute(text(f"EXPLAIN (FORMAT JSON) SELECT FROM {table}"))).scalar_one()
    rows = int(plan[0]["Plan"]["Plan Rows"])
    if rows <= most:
        return Sample("", sampled=False)
    return Sample(f"TABLESAMPLE SYSTEM ({100 * most / rows:.6f}) REPEATABLE (1)", sampled=True)


async def measure_traits(
    session: WriteSession, how: Sample, now: datetime, stale: timedelta, required: Sequence[Mapping[str, Any]],
    unique: Sequence[str],
) -> None:  # fmt: skip
    """Measure the day anew: what customers show, how old it is, how much of it is alike."""
    day = now.date()
    await session.execute(_DROP, {"day": day})
    bound = {"now": now, "day": day, "stale": stale.total_seconds(), "required": json.dumps(list(required))}
    more = {"unique": list(unique), "sampled": how.sampled, "most": MOST_TRAITS}
    await session.execute(text(_MEASURE.format(how.clause)), {**bound, **more})
    await session.execute(_COUNT, {"since": day - RECENT, "day": day, "most": MOST_TRAITS})


async def traits(session: ReadSession, day: date) -> list[dict[str, Any]]:
    """The measures of a day by source and trait, with what was said and accepted in the week up to it."""
    return [dict(row) for row in (await session.execute(_TRAITS, {"day": day, "since": day - WINDOW})).mappings()]


async def intake(session: ReadSession, today: datetime) -> Sequence[Row[Any]]:
    """(source, outcome, week, today): of the week up to a day that begins then, and of that day."""
    bound = {"since": today - WINDOW, "today": today, "until": today + timedelta(days=1)}
    return (await session.execute(_INTAKE, bound)).all()


async def gauges(session: ReadSession) -> Sequence[Row[Any]]:
    """(source, name, value): how much waits where."""
    return (await session.execute(_GAUGES)).all()


async def customers(session: ReadSession, day: date) -> dict[str, int | None]:
    """How many customers of each source were looked at."""
    return {row.source: row.customers for row in await session.execute(_CUSTOMERS, {"day": day})}


async def write_sources(
    session: WriteSession, rows: Sequence[Mapping[str, Any]], now: datetime, *, sampled: bool
) -> None:
    """Write the measures of sources."""
    bound = {"rows": json.dumps(list(rows)), "day": now.date(), "now": now, "sampled": sampled}
    await session.execute(_WRITE, bound)


async def forget(session: WriteSession, now: datetime) -> None:
    """Keep so many days that were measured; what a clock that was ahead has written goes when it is right again."""
    for table in ("quality_trait_day", "quality_source_day"):
        await session.execute(text(_FORGET.format(table)), {"day": now.date(), "kept": KEPT_DAYS})
    await session.execute(_FORGET_INTAKE, {"now": now, "kept": KEPT_HOURS})


async def mark(session: WriteSession, rule: UUID, filled: UUID | None, *, ready: bool) -> None:
    """Remember how far the values of a rule on duplicates are indexed."""
    await session.execute(_MARK, {"rule": rule, "filled": filled, "ready": ready})


async def unindexed(session: ReadSession, vias: Sequence[UUID], key: str) -> Sequence[Row[Any]]:
    """What is said of a trait under identifiers."""
    return (await session.execute(_UNINDEXED, {"vias": list(vias), "key": key})).all()


async def note_alike(session: WriteSession, rule: UUID, key: str, source: str | None, now: datetime, most: int) -> None:
    """Flag values that several customers give, all but the first one's; end the flags of those that are alone now."""
    bound = {"rule": rule, "key": key, "source": source, "now": now, "most": most}
    await session.execute(_ALIKE, bound)
    await session.execute(_UNLIKE, {"rule": rule, "now": now})


async def crossings(session: ReadSession, rules: Sequence[UUID]) -> dict[tuple[UUID, str, str], bool]:
    """On which side of its limit each measure was, by rule, source and trait."""
    rows = await session.execute(_CROSSINGS, {"rules": list(rules)})
    return {(row.rule, row.source, row.key): row.crossed for row in rows}


async def cross(session: WriteSession, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Write on which side of its limit each measure is."""
    await session.execute(_CROSS, {"rows": json.dumps(list(rows), default=str), "now": now})


async def note_missing(session: WriteSession, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Open and end the findings of rules on missing values."""
    bound = {"rows": json.dumps(list(rows), default=str), "now": now}
    await session.execute(_MISSED, bound)
    await session.execute(_RECOVERED, bound)
