"""The SQL of tiers."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.tiers.ladder import Ladder, Sums
from perennial.loyalty.tiers.path import Fact
from perennial.loyalty.tiers.position import Override
from perennial.loyalty.tiers.standing import State

BEGINNING = datetime(1971, 1, 1, tzinfo=UTC)

# What counts: lots as far as they were not taken back, orders as far as they were paid and not refunded. What is
# older than anything that a calendar of ours reckons with is of its first day.
_COUNTED = """
    FROM unnest(CAST(:ids AS uuid[]), CAST(:sinces AS timestamptz[])) AS c (customer_id, since)
    JOIN identity_map m ON m.customer_id = c.customer_id
    CROSS JOIN LATERAL (
        SELECT greatest(l.earned_at, :beginning) AS at, l.points - l.reversed AS points, CAST(0 AS bigint) AS cents,
               0 AS orders
        FROM lot l WHERE l.via = m.via AND l.qualifies AND l.currency = :currency AND l.points > l.reversed
          AND l.earned_at > c.since AND l.earned_at <= :until
        UNION ALL
        SELECT greatest(p.completed_at, :beginning), CAST(0 AS bigint), CAST((w.worth - r.back) * 100 AS bigint), 1
        FROM purchase p
        CROSS JOIN LATERAL (
            SELECT CASE WHEN p.updated_at >= p.completed_at THEN p.updated_amount ELSE p.completed_amount END AS worth
        ) AS w
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(f.amount), 0) AS back, coalesce(bool_or(f.amount IS NULL), false) AS whole
            FROM refund f WHERE f.purchase_id = p.id
        ) AS r
        WHERE :by_orders AND p.via = m.via AND p.completed_at > c.since AND p.completed_at <= :until
          AND NOT r.whole AND w.worth > r.back
    ) AS f"""
_FACTS = text(f"""
    SELECT customer_id, array_agg(at ORDER BY at) AS ats, array_agg(points ORDER BY at) AS points,
           array_agg(cents ORDER BY at) AS cents, array_agg(orders ORDER BY at) AS orders
    FROM (
        SELECT c.customer_id, f.at, CAST(sum(f.points) AS bigint) AS points, CAST(sum(f.cents) AS bigint) AS cents,
               CAST(sum(f.orders) AS bigint) AS orders {_COUNTED} GROUP BY c.customer_id, f.at
    ) AS moment GROUP BY customer_id""")  # noqa: S608 (ours)
_SUMS = text(f"""SELECT c.customer_id, CAST(sum(f.points) AS bigint) AS points,
    CAST(sum(f.cents) AS bigint) AS cents, CAST(sum(f.orders) AS bigint) AS orders {_COUNTED}
    GROUP BY c.customer_id""")
_MEMBERS = text("""
    SELECT m.customer_id, t.id, t.tier, t.exact, t.set_at, t.until
    FROM identity_map m LEFT JOIN tier_override t ON t.via = m.via AND t.ended_at IS NULL AND t.until > :now
    WHERE m.customer_id = ANY(CAST(:ids AS uuid[])) AND (
        t.id IS NOT NULL OR EXISTS (SELECT FROM account a WHERE a.via = m.via)
        OR :by_orders AND EXISTS (SELECT FROM purchase p WHERE p.via = m.via AND p.completed_at IS NOT NULL))
    ORDER BY t.set_at, t.id""")
_UPSERT = text("""
    INSERT INTO tier_state AS s (customer_id, tier, since, points, review_at, version, earned, why, held_until,
                                 projected, projected_at, override_id, benefits, programme, clock)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:tiers AS text[]), CAST(:sinces AS timestamptz[]), CAST(:points AS bigint[]),
        CAST(:reviews AS timestamptz[]), CAST(:versions AS bigint[]), CAST(:earned AS text[]), CAST(:whys AS text[]),
        CAST(:held AS timestamptz[]), CAST(:projected AS text[]), CAST(:projected_at AS timestamptz[]),
        CAST(:overrides AS uuid[]), CAST(:benefits AS jsonb[]), CAST(:programmes AS integer[]),
        CAST(:clocks AS timestamptz[]))
    ON CONFLICT (customer_id) DO UPDATE SET
        tier = excluded.tier, since = excluded.since, points = excluded.points, review_at = excluded.review_at,
        version = excluded.version, earned = excluded.earned, why = excluded.why, held_until = excluded.held_until,
        projected = excluded.projected, projected_at = excluded.projected_at, override_id = excluded.override_id,
        benefits = excluded.benefits, programme = excluded.programme, clock = greatest(s.clock, excluded.clock)""")
_STATES = text("""
    SELECT customer_id, tier, since, points, review_at, version, earned, why, held_until, projected, projected_at,
           override_id, benefits, programme, clock
    FROM tier_state WHERE customer_id = ANY(CAST(:ids AS uuid[]))""")
_NOTE = text("""
    INSERT INTO tier_history (customer_id, version, tier, previous, at, why, programme)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:tiers AS text[]),
                         CAST(:previous AS text[]), CAST(:ats AS timestamptz[]), CAST(:whys AS text[]),
                         CAST(:programmes AS integer[]))""")


async def facts(
    session: ReadSession, since: Mapping[UUID, datetime], ladder: Ladder, until: datetime
) -> dict[UUID, list[Fact]]:
    """What counts towards the tiers of customers, from after an instant each until another, ascending."""
    rows = await session.execute(_FACTS, _asked(since, ladder, until))
    return {
        row.customer_id: [
            Fact(at, Sums(points, cents, orders))
            for at, points, cents, orders in zip(row.ats, row.points, row.cents, row.orders, strict=True)
        ]
        for row in rows
    }


async def sums(
    session: ReadSession, since: Mapping[UUID, datetime], ladder: Ladder, until: datetime
) -> dict[UUID, Sums]:
    """The same, added up; whoever has none is left out."""
    rows = await session.execute(_SUMS, _asked(since, ladder, until))
    return {row.customer_id: Sums(row.points, row.cents, row.orders) for row in rows}


def _asked(since: Mapping[UUID, datetime], ladder: Ladder, until: datetime) -> dict[str, Any]:
    return {
        "ids": list(since), "sinces": list(since.values()), "currency": ladder.currency, "until": until,
        "by_orders": ladder.by_orders, "beginning": BEGINNING,
    }  # fmt: skip


async def members(
    session: ReadSession, customers: Collection[UUID], ladder: Ladder, now: datetime
) -> dict[UUID, list[Override]]:
    """Those of whom there is anything that a tier may rest on, with what staff said of them and still holds."""
    found: dict[UUID, list[Override]] = {}
    asked = {"ids": list(customers), "by_orders": ladder.by_orders, "now": now}
    for row in await session.execute(_MEMBERS, asked):
        said = found.setdefault(row.customer_id, [])
        if row.id is not None:
            said.append(Override(row.id, row.tier, row.exact, row.set_at, row.until))
    return found


async def states(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, State]:
    """The tiers that are written down."""
    rows = (await session.execute(_STATES, {"ids": list(customers)})).mappings()
    return {row["customer_id"]: State(**row) for row in rows}


async def last_told(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, Row[Any]]:
    """Where the history of each ends."""
    if not customers:
        return {}
    rows = await session.execute(
        text("""SELECT DISTINCT ON (customer_id) customer_id, tier, at FROM tier_history
                WHERE customer_id = ANY(CAST(:ids AS uuid[])) ORDER BY customer_id, version DESC"""),
        {"ids": list(customers)},
    )
    return {row.customer_id: row for row in rows}


async def versions(session: WriteSession, count: int) -> list[int]:
    """So many numbers, ascending."""
    if not count:
        return []
    asked = text("SELECT nextval('tier_version') FROM generate_series(1, :n)")
    return sorted((await session.execute(asked, {"n": count})).scalars())


async def write(session: WriteSession, rows: Sequence[State]) -> None:
    """Write tiers down."""
    if rows:
        await session.execute(
            _UPSERT,
            {
                "ids": [row.customer_id for row in rows],
                "tiers": [row.tier for row in rows],
                "sinces": [row.since for row in rows],
                "points": [row.points for row in rows],
                "reviews": [row.review_at for row in rows],
                "versions": [row.version for row in rows],
                "earned": [row.earned for row in rows],
                "whys": [row.why for row in rows],
                "held": [row.held_until for row in rows],
                "projected": [row.projected for row in rows],
                "projected_at": [row.projected_at for row in rows],
                "overrides": [row.override_id for row in rows],
                "benefits": [json.dumps(row.benefits) for row in rows],
                "programmes": [row.programme for row in rows],
                "clocks": [row.clock for row in rows],
            },
        )


async def note(session: WriteSession, rows: Sequence[tuple[State, str | None, str]], now: datetime) -> None:
    """Keep what customers were told: the state, the tier before, and why."""
    if rows:
        await session.execute(
            _NOTE,
            {
                "ids": [state.customer_id for state, _, _ in rows],
                "versions": [state.version for state, _, _ in rows],
                "tiers": [state.tier for state, _, _ in rows],
                "previous": [previous for _, previous, _ in rows],
                "ats": [now for _ in rows],
                "whys": [why for _, _, why in rows],
                "programmes": [state.programme for state, _, _ in rows],
            },
        )


async def remove(session: WriteSession, customers: Collection[UUID]) -> None:
    """Forget the tiers of customers that are no more."""
    if customers:
        await session.execute(text("DELETE FROM tier_state WHERE customer_id = ANY(:ids)"), {"ids": list(customers)})


async def advance(session: WriteSession, customers: Sequence[UUID], until: Sequence[datetime]) -> None:
    """Note how far the pipeline has let the clock go; rows are locked in the order in which others write them."""
    if not customers:
        return
    await session.execute(
        text("""WITH held AS (
                    SELECT customer_id FROM tier_state WHERE customer_id = ANY(:ids) ORDER BY customer_id FOR UPDATE)
                UPDATE tier_state s SET clock = greatest(s.clock, c.until)
                FROM held JOIN unnest(CAST(:ids AS uuid[]), CAST(:untils AS timestamptz[])) AS c (id, until)
                    ON c.id = held.customer_id
                WHERE s.customer_id = held.customer_id"""),
        {"ids": list(customers), "untils": list(until)},
    )
