"""The SQL of what is shown: sums by the map of today."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession
from perennial.loyalty.programme.definition import Definition

_ACCOUNTS = text("""
    SELECT c.id AS customer_id,
           CAST(coalesce(sum(a.balance), 0) AS bigint) AS balance,
           CAST(coalesce(sum(a.pending), 0) AS bigint) AS pending,
           CAST(coalesce(sum(a.earned), 0) AS bigint) AS earned,
           CAST(coalesce(sum(a.spent), 0) AS bigint) AS spent,
           CAST(coalesce(sum(a.reversed), 0) AS bigint) AS reversed,
           CAST(coalesce(sum(a.expired), 0) AS bigint) AS expired,
           CAST(coalesce(sum(a.adjusted), 0) AS bigint) AS adjusted
    FROM unnest(CAST(:ids AS uuid[])) AS c (id)
    LEFT JOIN identity_map m ON m.customer_id = c.id
    LEFT JOIN account a ON a.via = m.via AND a.currency = :currency
    GROUP BY c.id ORDER BY c.id""")
_WALLETS = text("""
    SELECT m.customer_id, a.currency, CAST(sum(a.balance) AS bigint) AS balance,
           CAST(sum(a.pending) AS bigint) AS pending
    FROM identity_map m JOIN account a ON a.via = m.via
    WHERE m.customer_id = ANY(CAST(:ids AS uuid[])) GROUP BY m.customer_id, a.currency""")
_EXPIRING = text("""
    SELECT customer_id, currency, CAST(sum(points) AS bigint) AS points, min(expires_at) AS expires_at
    FROM (
        SELECT m.customer_id, l.currency, l.expires_at, l.points - l.reversed - l.expired
                   - coalesce((SELECT sum(u.points) FROM lot_use u WHERE u.lot_id = l.id), 0) AS points
        FROM identity_map m JOIN lot l ON l.via = m.via
        WHERE m.customer_id = ANY(CAST(:ids AS uuid[])) AND NOT l.swept AND l.state = 'active'
          AND l.expires_at > :now AND l.expires_at <= :until
    ) AS ending WHERE points > 0
    GROUP BY customer_id, currency, CAST(timezone(:zone, expires_at) AS date)
    ORDER BY min(expires_at), currency""")
_OWNERS = text("""
    SELECT c.via FROM identity_map c
    WHERE c.via = c.customer_id AND (CAST(:after AS uuid) IS NULL OR c.via > :after)
      AND EXISTS (SELECT FROM identity_map m JOIN account a ON a.via = m.via WHERE m.customer_id = c.via)
    ORDER BY c.via LIMIT :n""")
_LEDGER = text("""
    SELECT * FROM (
        SELECT p.id, p.kind, p.at, p.recorded_at, p.points, p.pending, p.reason, p.reference, p.via,
               CAST(sum(p.points) OVER (ORDER BY p.at, p.id) AS bigint) AS balance
        FROM identity_map m JOIN posting p ON p.via = m.via
        WHERE m.customer_id = :customer AND p.currency = :currency
    ) AS line
    WHERE CAST(:at AS timestamptz) IS NULL OR (at, id) < (:at, CAST(:id AS uuid))
    ORDER BY at DESC, id DESC LIMIT :n""")
_SUMMARY = text("""
    WITH customers AS (
        SELECT sum(a.balance) AS balance, sum(a.pending) AS pending, sum(a.earned) AS earned, sum(a.spent) AS spent,
               sum(a.reversed) AS reversed, sum(a.expired) AS expired, sum(a.adjusted) AS adjusted
        FROM account a LEFT JOIN identity_map m ON m.via = a.via
        WHERE a.currency = :currency GROUP BY coalesce(m.customer_id, a.via)
    )
    SELECT count(*) AS accounts, coalesce(sum(earned), 0) AS earned, coalesce(sum(spent), 0) AS spent,
           coalesce(sum(reversed), 0) AS reversed, coalesce(sum(expired), 0) AS expired,
           coalesce(sum(adjusted), 0) AS adjusted, coalesce(sum(pending), 0) AS pending,
           coalesce(sum(balance) FILTER (WHERE balance > 0), 0) AS liability
    FROM customers""")


async def accounts(session: ReadSession, customers: Collection[UUID], rules: Definition) -> list[Row[Any]]:
    """The main accounts of customers, sorted by id."""
    return list(await session.execute(_ACCOUNTS, {"ids": list(customers), "currency": rules.main.code}))


async def expiring(
    session: ReadSession, customers: Collection[UUID], now: datetime, until: datetime, zone: str
) -> dict[UUID, list[tuple[str, int, datetime]]]:
    """What nobody has spent of lots that end before an instant, by currency and day, the soonest first."""
    asked = {"ids": list(customers), "now": now, "until": until, "zone": zone}
    found: dict[UUID, list[tuple[str, int, datetime]]] = {}
    for row in await session.execute(_EXPIRING, asked):
        found.setdefault(row.customer_id, []).append((row.currency, row.points, row.expires_at))
    return found


async def wallets(session: ReadSession, customers: Collection[UUID]) -> dict[tuple[UUID, str], tuple[int, int]]:
    """Balance and pending by customer and currency, where there ever was anything."""
    rows = await session.execute(_WALLETS, {"ids": list(customers)})
    return {(row.customer_id, row.currency): (row.balance, row.pending) for row in rows}


async def owners(session: ReadSession, after: UUID | None, limit: int) -> list[UUID]:
    """Customers who have an account, by id."""
    return list((await session.execute(_OWNERS, {"after": after, "n": limit})).scalars())


async def ledger(
    session: ReadSession, customer: UUID, currency: str, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row[Any]]:
    """A customer's postings in a currency, the newest first, each with the balance after it."""
    at, last = after or (None, None)
    values = {"customer": customer, "currency": currency, "at": at, "id": last, "n": limit}
    return list(await session.execute(_LEDGER, values))


async def summary(session: ReadSession, currency: str) -> Mapping[str, int]:
    """All accounts in a currency together."""
    row = (await session.execute(_SUMMARY, {"currency": currency})).mappings().one()
    return {name: int(value) for name, value in row.items()}


async def tiers(session: ReadSession) -> dict[str, int]:
    """How many customers stand in each tier."""
    rows = await session.execute(text("SELECT tier, count(*) AS customers FROM tier_state GROUP BY tier"))
    return {row.tier: row.customers for row in rows}
