"""Trying a rule out: how many it would hold for, of whom, leaf by leaf, and where they are already.

In a large shop what takes too long to count is asked of a part of the customers, and said to be an estimate.
"""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import DBAPIError

from perennial.common import rules
from perennial.common.db import ReadSession
from perennial.common.problems import Unprocessable
from perennial.common.rules import Rule
from perennial.common.rules.evaluation.footprint import placed
from perennial.segments.definitions.sampling import Counted, of_part, one_in
from perennial.segments.definitions.sizes import sizes
from perennial.segments.months import service as months
from perennial.segments.months.queries import complete_since

SAMPLE, OVERLAPS, LEAVES, PART = 20, 20, 30, 10_000
# Seconds: the longest; how long everybody is counted where a part would do, then each leaf; after which no more is.
PREVIEW_SECONDS, QUICK, QUICK_LEAVES, LEAVES_BY = 15, 1.3, 1.6, 2.5
PACE = 200_000  # of what Postgres calls cost, in a second
QUERY_CANCELED = "57014"

# Of very many, a part is looked up that is the same each time; their shares are those of all within a percent or so.
_TRIED = """
    {0}held AS MATERIALIZED ({1}),
    part AS MATERIALIZED (SELECT customer_id FROM held ORDER BY uuid_hash(customer_id) LIMIT {4}),
    inside AS (SELECT m.segment_id, count(*) AS n FROM part JOIN membership AS m USING (customer_id)
               GROUP BY m.segment_id ORDER BY n DESC, m.segment_id LIMIT {2}),
    total AS (SELECT count(*) AS n, greatest(count(*)::float / {4}, 1) AS times FROM held)
    SELECT total.n, total.times,
           ARRAY(SELECT customer_id FROM held ORDER BY customer_id LIMIT {3}) AS sample,
           (SELECT coalesce(jsonb_agg(jsonb_build_object(
                       'segment_id', s.id, 'name', s.name, 'found', i.n
                   ) ORDER BY i.n DESC, s.id), '[]')
            FROM inside AS i JOIN segment AS s ON s.id = i.segment_id) AS overlaps
    FROM total"""


@dataclass(frozen=True)
class Leaf:
    """One condition of a rule, and for how many it holds by itself."""

    pointer: str
    rule: Rule
    counted: Counted | None


@dataclass(frozen=True)
class Overlap:
    """Another segment of so many members (`size`), and how many of them the rule holds for."""

    segment_id: UUID
    name: str
    counted: Counted
    size: Counted


@dataclass(frozen=True)
class Tried:
    """What a rule would do."""

    counted: Counted
    sample: list[UUID]
    overlaps: list[Overlap]
    estimated: bool
    leaves: list[Leaf]
    unheard: list[str]
    events_since: datetime | None


async def preview(session: ReadSession, rule: Rule, now: datetime, *, exact: bool = False) -> Tried:
    """Try a rule; `exact`: of everybody, however many they are. Raises Unprocessable for one that takes too long."""
    begun = time.monotonic()
    try:
        await session.execute(text(f"SET LOCAL statement_timeout = '{PREVIEW_SECONDS}s'"))
        times = 1 if exact else await one_in(session)
        quick = await _planned(session, *_held(rule, now, 1), QUICK) if times > 1 else None
        used = times if quick is None else 1
        held = (await session.execute(*_held(rule, now, used))).one() if quick is None else quick
        overlaps = await _overlaps(session, held, used, times)
        unheard = await _unheard(session, rule)
        since = months.short_since(rule, await complete_since(session), now)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        said = f"rule: it takes longer than {PREVIEW_SECONDS} s to count"
        raise Unprocessable(said, code="rule_too_slow", pointer="/rule") from error
    counted, until = Counted(held.n, used), begun + (PREVIEW_SECONDS if exact else LEAVES_BY)
    whole = until if times == 1 else begun + QUICK_LEAVES if used == 1 else begun
    found = await _leaves(session, rule, counted, now, (whole, until, times))
    return Tried(counted, held.sample, overlaps, held.times * used > 1, found, unheard, since)


def _held(rule: Rule, now: datetime, times: int) -> tuple[TextClause, Mapping[str, object]]:
    """What asks whom it holds for among one in so many."""
    query = rules.to_sql(rule, now)
    return text(_TRIED.format(of_part(times), query.text, OVERLAPS, SAMPLE, PART)), query.params


async def _overlaps(session: ReadSession, held: Row[Any], used: int, times: int) -> list[Overlap]:
    segments = [UUID(item["segment_id"]) for item in held.overlaps]
    members = await sizes(session, segments, times)
    return [
        Overlap(segment, item["name"], Counted(item["found"], held.times * used), members[segment])
        for segment, item in zip(segments, held.overlaps, strict=True)
    ]


async def _leaves(
    session: ReadSession, rule: Rule, counted: Counted, now: datetime, limits: tuple[float, float, int]
) -> list[Leaf]:
    """Each leaf by itself, the first ones: of everybody and then of a part, as far as the time allows."""
    whole, until, times = limits
    found: list[Leaf] = []
    for pointer, leaf in list(placed(rule))[:LEAVES]:
        known = counted if leaf is rule else await _count(session, leaf, now, 1, (whole, times > 1))
        if known is None and times > 1:
            known = await _count(session, leaf, now, times, (until, False))
        found.append(Leaf(pointer, leaf, known))
    return found


async def _count(
    session: ReadSession, leaf: Rule, now: datetime, times: int, limit: tuple[float, bool]
) -> Counted | None:
    until, planned = limit
    query, left = rules.to_sql(leaf, now), until - time.monotonic()
    statement = text(f"{of_part(times)}held AS ({query.text}) SELECT count(*) AS n FROM held")
    row = await (_planned if planned else _within)(session, statement, query.params, left)
    return row and Counted(row.n, times)


async def _within(
    session: ReadSession, statement: TextClause, params: Mapping[str, object], seconds: float
) -> Row[Any] | None:
    """The one row of a statement; None where it takes longer."""
    if seconds < 0.01:
        return None
    try:
        async with session.begin_nested():
            await session.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000) + 1}"))
            row = (await session.execute(statement, params)).one()
            await session.execute(text(f"SET LOCAL statement_timeout = '{PREVIEW_SECONDS}s'"))
            return row
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        return None


async def _planned(
    session: ReadSession, statement: TextClause, params: Mapping[str, object], seconds: float
) -> Row[Any] | None:
    """The same, not even begun where its plan says that it takes longer."""
    plan = (await session.execute(text(f"EXPLAIN (FORMAT JSON) {statement.text}"), params)).scalar_one()
    hopeless = plan[0]["Plan"]["Total Cost"] > seconds * PACE
    return None if hopeless else await _within(session, statement, params, seconds)


async def _unheard(session: ReadSession, rule: Rule) -> list[str]:
    names: Sequence[str] = sorted(rules.footprint(rule).events)
    rows = await session.execute(
        text("""SELECT name FROM unnest(CAST(:names AS text[])) AS name
                WHERE NOT EXISTS (SELECT FROM event AS e WHERE e.name = name.name) ORDER BY 1"""),
        {"names": names},
    )
    return list(rows.scalars())
