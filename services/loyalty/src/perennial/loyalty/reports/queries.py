"""The SQL of reports: one statement each, over all of it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession, fetch_patiently

_MONTH = "to_char(timezone(:zone, {}), 'YYYY-MM')"
_EARNED = "coalesce(sum(p.points + p.pending) FILTER (WHERE p.kind = 'earn'), 0)"
_SPENT = "coalesce(-sum(p.points) FILTER (WHERE p.kind IN ('spend', 'return')), 0)"
_EARNED_MAIN = _EARNED.replace("'earn'", "'earn' AND p.currency = :currency")
_SPENT_MAIN = _SPENT.replace("'return')", "'return') AND p.currency = :currency")
_TAKEN = "-coalesce(sum(p.points + p.pending) FILTER (WHERE p.kind = '{}'), 0)"

_TIERS = f"""
    WITH member AS (
        SELECT t.tier, t.customer_id, m.via FROM tier_state t JOIN identity_map m ON m.customer_id = t.customer_id
    ), moved AS (
        SELECT p.via, max(p.at) FILTER (WHERE p.kind IN ('earn', 'spend')) AS last,
               {_EARNED_MAIN} AS earned,
               {_SPENT_MAIN} AS spent
        FROM posting p WHERE p.at > :year AND p.at <= :now GROUP BY p.via
    ), back AS (
        SELECT purchase_id, sum(amount) AS amount, bool_or(amount IS NULL) AS whole FROM refund GROUP BY purchase_id
    ), bought AS (
        SELECT p.via, max(p.completed_at) AS last, count(*) AS orders, sum(w.worth - coalesce(b.amount, 0)) AS spend
        FROM purchase p
        CROSS JOIN LATERAL (
            SELECT CASE WHEN p.updated_at >= p.completed_at THEN p.updated_amount ELSE p.completed_amount END AS worth
        ) AS w
        LEFT JOIN back b ON b.purchase_id = p.id
        WHERE p.completed_at > :year AND p.completed_at <= :now AND NOT coalesce(b.whole, false)
          AND w.worth > coalesce(b.amount, 0)
        GROUP BY p.via
    ), customer AS (
        SELECT m.tier, m.customer_id, max(greatest(v.last, b.last)) AS last, coalesce(sum(b.orders), 0) AS orders,
               coalesce(sum(b.spend), 0) AS spend, coalesce(sum(v.earned), 0) AS earned,
               coalesce(sum(v.spent), 0) AS spent
        FROM member m LEFT JOIN moved v ON v.via = m.via LEFT JOIN bought b ON b.via = m.via
        GROUP BY m.tier, m.customer_id
    )
    SELECT tier, count(*) AS members, count(*) FILTER (WHERE last > :active) AS active,
           CAST(sum(orders) AS bigint) AS orders, CAST(sum(spend) AS numeric(20, 2)) AS spend,
           round(100 * sum(spend) / nullif(sum(sum(spend)) OVER (), 0), 2) AS spend_percent,
           CAST(sum(earned) AS bigint) AS earned, CAST(sum(spent) AS bigint) AS spent
    FROM customer GROUP BY tier ORDER BY array_position(CAST(:tiers AS text[]), tier), tier"""  # noqa: S608 (names of ours)
_MONTHS = f"""
    SELECT *, earned + adjusted - spent - reversed - expired AS net,
           round(100 * CAST(expired AS numeric) / nullif(earned, 0), 2) AS breakage_percent
    FROM (
        SELECT {_MONTH.format("p.recorded_at")} AS month, p.currency, CAST({_EARNED} AS bigint) AS earned,
               CAST({_SPENT} AS bigint) AS spent, CAST({_TAKEN.format("reverse")} AS bigint) AS reversed,
               CAST({_TAKEN.format("expire")} AS bigint) AS expired,
               CAST(-({_TAKEN.format("adjust")}) AS bigint) AS adjusted,
               count(DISTINCT coalesce(m.customer_id, p.via)) AS customers
        FROM posting p LEFT JOIN identity_map m ON m.via = p.via
        WHERE p.recorded_at >= :since GROUP BY 1, 2
    ) AS booked ORDER BY month, currency"""  # noqa: S608 (names of ours)
_LIABILITY = f"""
    WITH used AS (SELECT lot_id, sum(points) AS points FROM lot_use GROUP BY lot_id), open AS (
        SELECT coalesce({_MONTH.format("l.expires_at - interval '1 microsecond'")}, 'never') AS month, l.currency,
               l.state, l.points - l.reversed - l.expired - coalesce(u.points, 0) AS points,
               coalesce(m.customer_id, l.via) AS customer
        FROM lot l LEFT JOIN used u ON u.lot_id = l.id LEFT JOIN identity_map m ON m.via = l.via
        WHERE l.points > l.reversed + l.expired
    ), owed AS (
        SELECT a.currency, coalesce(m.customer_id, a.via) AS customer, sum(a.balance) AS balance
        FROM account a LEFT JOIN identity_map m ON m.via = a.via GROUP BY 1, 2
    )
    SELECT month, currency, CAST(coalesce(sum(points) FILTER (WHERE state = 'active'), 0) AS bigint) AS points,
           CAST(coalesce(sum(points) FILTER (WHERE state = 'pending'), 0) AS bigint) AS pending,
           count(DISTINCT customer) AS customers
    FROM open WHERE points > 0 GROUP BY month, currency
    UNION ALL SELECT 'overdrawn', currency, CAST(sum(balance) AS bigint), 0, count(*)
    FROM owed WHERE balance < 0 GROUP BY currency ORDER BY 1, 2"""  # noqa: S608 (names of ours)
_REDEEMED = """
    count(*) FILTER (WHERE r.state IN ('confirmed', 'fulfilled')) AS redemptions,
    count(*) FILTER (WHERE r.state IN ('cancelled', 'expired')) AS cancelled,
    CAST(coalesce(sum(r.points) FILTER (WHERE r.state IN ('confirmed', 'fulfilled')), 0) AS bigint) AS points,
    coalesce(sum(r.amount) FILTER (WHERE r.state IN ('confirmed', 'fulfilled')), 0) AS amount, r.money,
    count(DISTINCT coalesce(m.customer_id, r.via)) FILTER (WHERE r.state IN ('confirmed', 'fulfilled')) AS customers
    FROM redemption r JOIN reward w ON w.id = r.reward_id LEFT JOIN identity_map m ON m.via = r.via
    WHERE r.reserved_at > :year AND r.reserved_at <= :now"""
_REWARDS = f"""
    SELECT w.id AS reward_id, coalesce(w.name ->> 'en', w.name ->> 'zh') AS name, w.kind, r.currency, {_REDEEMED}
    GROUP BY w.id, w.name, w.kind, r.currency, r.money
    ORDER BY redemptions DESC, points DESC, w.id, r.currency, r.money LIMIT 100"""
_REWARD_KINDS = f"""
    SELECT r.kind, r.currency, {_REDEEMED} GROUP BY r.kind, r.currency, r.money
    ORDER BY redemptions DESC, points DESC, r.kind, r.currency, r.money"""
_COHORTS = f"""
    WITH booked AS (
        SELECT p.via, date_trunc('month', timezone(:zone, p.at)) AS month,
               count(*) FILTER (WHERE p.kind IN ('earn', 'spend')) AS acts,
               {_EARNED_MAIN} AS earned, {_SPENT_MAIN} AS spent
        FROM posting p WHERE p.at <= :now GROUP BY 1, 2
    ), customer AS (
        SELECT coalesce(m.customer_id, b.via) AS id, b.month, sum(b.acts) AS acts, sum(b.earned) AS earned,
               sum(b.spent) AS spent
        FROM booked b LEFT JOIN identity_map m ON m.via = b.via GROUP BY 1, 2
    ), joined AS (
        SELECT id, min(month) AS month FROM customer GROUP BY id
    ), recent AS (
        SELECT *, count(*) OVER (PARTITION BY month) AS members FROM joined
        WHERE month > date_trunc('month', timezone(:zone, CAST(:now AS timestamptz))) - interval '24 months'
    )
    SELECT to_char(j.month, 'YYYY-MM') AS cohort,
           CAST((extract(year FROM c.month) - extract(year FROM j.month)) * 12
                + extract(month FROM c.month) - extract(month FROM j.month) AS integer) AS later,
           j.members, count(*) FILTER (WHERE c.acts > 0) AS active,
           round(100 * CAST(count(*) FILTER (WHERE c.acts > 0) AS numeric) / j.members, 2) AS active_percent,
           CAST(sum(c.earned) AS bigint) AS earned, CAST(sum(c.spent) AS bigint) AS spent
    FROM recent j JOIN customer c ON c.id = j.id
    GROUP BY j.month, later, j.members ORDER BY cohort, later"""  # noqa: S608 (names of ours)
_REFERRALS = f"""
    WITH touched AS (
        SELECT {_MONTH.format("at")} AS month, count(DISTINCT via) AS touched FROM referral_touch GROUP BY 1
    ), came AS (
        SELECT {_MONTH.format("touched_at")} AS month, count(*) AS qualified,
               count(*) FILTER (WHERE state = 'pending') AS pending, count(*) FILTER (WHERE state = 'held') AS held,
               count(*) FILTER (WHERE state = 'rewarded') AS rewarded,
               count(*) FILTER (WHERE state = 'reversed') AS reversed,
               count(*) FILTER (WHERE state = 'rejected') AS rejected, count(*) FILTER (WHERE state = 'void') AS void
        FROM referral GROUP BY 1
    )
    SELECT month, coalesce(touched, 0) AS touched, coalesce(qualified, 0) AS qualified, coalesce(pending, 0) AS pending,
           coalesce(held, 0) AS held, coalesce(rewarded, 0) AS rewarded, coalesce(reversed, 0) AS reversed,
           coalesce(rejected, 0) AS rejected, coalesce(void, 0) AS void
    FROM touched FULL JOIN came USING (month) ORDER BY month"""  # noqa: S608 (names of ours)

STATEMENTS: Mapping[str, str] = {
    "tiers": _TIERS,
    "months": _MONTHS,
    "liability": _LIABILITY,
    "rewards": _REWARDS,
    "reward-kinds": _REWARD_KINDS,
    "cohorts": _COHORTS,
    "referrals": _REFERRALS,
}


async def figures(session: ReadSession, name: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a report; `asked` may hold more than its statement wants."""
    return [dict(row) for row in await fetch_patiently(session, STATEMENTS[name], asked)]


async def stored(session: ReadSession, name: str) -> Row[Any] | None:
    """What a report said when it was last made."""
    found = await session.execute(text("SELECT as_of, rows FROM report WHERE name = :name"), {"name": name})
    return found.one_or_none()


async def made_at(session: ReadSession) -> dict[str, datetime]:
    """When reports were last made."""
    return {row.name: row.as_of for row in await session.execute(text("SELECT name, as_of FROM report"))}


async def store(session: WriteSession, name: str, as_of: datetime, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what a report says; an older one gives way."""
    await session.execute(
        text("""INSERT INTO report AS r (name, as_of, rows) VALUES (:name, :as_of, CAST(:rows AS jsonb))
                ON CONFLICT (name) DO UPDATE SET as_of = excluded.as_of, rows = excluded.rows
                WHERE r.as_of <= excluded.as_of"""),
        {"name": name, "as_of": as_of, "rows": json.dumps(list(rows), default=str)},
    )
