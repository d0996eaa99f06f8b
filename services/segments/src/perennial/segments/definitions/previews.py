"""Trying a rule out: how many it would hold for, of whom, leaf by leaf, and where they are already."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError

from perennial.common import rules
from perennial.common.db import ReadSession
from perennial.common.problems import Unprocessable
from perennial.common.rules import Rule
from perennial.common.rules.sql import Sql
from perennial.segments.definitions.fields import leaves
from perennial.segments.months import service as months
from perennial.segments.months.queries import complete_since

SAMPLE, OVERLAPS, LEAVES, PART = 20, 20, 30, 10_000
PREVIEW_SECONDS, LEAVES_BY = 15, 2.5  # after so many seconds in all no more leaves are counted
QUERY_CANCELED = "57014"

# Of very many, a part is looked up that is the same each time; their shares are those of all within a percent or so.
_TRIED = """
    WITH held AS MATERIALIZED ({0}),
    part AS MATERIALIZED (SELECT customer_id FROM held ORDER BY uuid_hash(customer_id) LIMIT {3}),
    inside AS (SELECT m.segment_id, count(*) AS n FROM part JOIN membership AS m USING (customer_id)
               GROUP BY m.segment_id ORDER BY n DESC, m.segment_id LIMIT {1}),
    total AS (SELECT count(*) AS n, greatest(count(*)::numeric / {3}, 1) AS times FROM held)
    SELECT total.n, total.times > 1 AS estimated,
           ARRAY(SELECT customer_id FROM held ORDER BY customer_id LIMIT {2}) AS sample,
           (SELECT coalesce(jsonb_agg(jsonb_build_object(
                       'segment_id', s.id, 'name', s.name, 'count', round(i.n * total.times),
                       'size', (SELECT count(*) FROM membership AS m WHERE m.segment_id = s.id)
                   ) ORDER BY i.n DESC, s.id), '[]')
            FROM inside AS i JOIN segment AS s ON s.id = i.segment_id) AS overlaps
    FROM total"""


@dataclass(frozen=True)
class Leaf:
    """One condition of a rule, and for how many it holds by itself."""

    pointer: str
    rule: Rule
    count: int | None


@dataclass(frozen=True)
class Tried:
    """What a rule would do."""

    count: int
    sample: list[UUID]
    overlaps: list[dict[str, Any]]
    estimated: bool
    leaves: list[Leaf]
    unheard: list[str]
    events_since: datetime | None


async def preview(session: ReadSession, rule: Rule, now: datetime) -> Tried:
    """Try a rule. Raises Unprocessable for one that takes too long."""
    until = time.monotonic() + LEAVES_BY
    try:
        await session.execute(text(f"SET LOCAL statement_timeout = '{PREVIEW_SECONDS}s'"))
        found = await _held(session, rules.to_sql(rule, now))
        unheard = await _unheard(session, rule)
        since = months.short_since(rule, await complete_since(session), now)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        said = f"rule: it takes longer than {PREVIEW_SECONDS} s to count"
        raise Unprocessable(said, code="rule_too_slow", pointer="/rule") from error
    counted = await _leaves(session, rule, found.n, now, until)
    return Tried(found.n, found.sample, found.overlaps, found.estimated, counted, unheard, since)


async def _held(session: ReadSession, query: Sql) -> Row[Any]:
    statement = _TRIED.format(query.text, OVERLAPS, SAMPLE, PART)
    return (await session.execute(text(statement), query.params)).one()


async def _leaves(session: ReadSession, rule: Rule, count: int, now: datetime, until: float) -> list[Leaf]:
    """Each leaf by itself, the first ones, as far as the time allows."""
    found: list[Leaf] = []
    for pointer, leaf in list(leaves(rule))[:LEAVES]:
        left = until - time.monotonic()
        known = count if leaf is rule else await _count(session, leaf, now, left)
        found.append(Leaf(pointer, leaf, known))
    return found


async def _count(session: ReadSession, leaf: Rule, now: datetime, seconds: float) -> int | None:
    if seconds < 0.01:
        return None
    query = rules.to_sql(leaf, now)
    try:
        async with session.begin_nested():
            await session.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000) + 1}"))
            counted = await session.execute(text(f"SELECT count(*) FROM ({query.text}) AS held"), query.params)  # noqa: S608 (to_sql binds)
            await session.execute(text(f"SET LOCAL statement_timeout = '{PREVIEW_SECONDS}s'"))
            return int(counted.scalar_one())
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        return None


async def _unheard(session: ReadSession, rule: Rule) -> list[str]:
    names: Sequence[str] = sorted(rules.footprint(rule).events)
    rows = await session.execute(
        text("""SELECT name FROM unnest(CAST(:names AS text[])) AS name
                WHERE NOT EXISTS (SELECT FROM event AS e WHERE e.name = name.name) ORDER BY 1"""),
        {"names": names},
    )
    return list(rows.scalars())
