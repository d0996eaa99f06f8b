"""The SQL of expiries."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.points.posting import Lot

# A lot is announced once for each notice and expiry; one whose earlier notice was missed gets the nearest only, and one
# of which nobody knows yet whose it is waits until that is known.
_NOTICES = text("""
    WITH due AS (
        SELECT l.id, l.via, l.currency, l.expires_at, min(n.days) AS days,
               l.points - l.reversed - l.expired
                   - coalesce((SELECT sum(u.points) FROM lot_use u WHERE u.lot_id = l.id), 0) AS points
        FROM lot l JOIN identity_map o ON o.via = l.via JOIN unnest(CAST(:days AS integer[])) AS n (days)
            ON l.expires_at <= CAST(:now AS timestamptz) + make_interval(days => n.days)
        WHERE NOT l.swept AND l.state = 'active' AND l.expires_at > :now AND l.expires_at <= :until
        GROUP BY l.id
    ), said AS (
        INSERT INTO expiry_notice (lot_id, expires_at, days)
        SELECT id, expires_at, days FROM due WHERE points > 0
          AND NOT EXISTS (SELECT FROM expiry_notice e WHERE e.lot_id = due.id AND e.expires_at = due.expires_at
                          AND e.days <= due.days)
        ORDER BY id LIMIT :n ON CONFLICT DO NOTHING RETURNING lot_id
    )
    SELECT m.customer_id, d.currency, d.days, CAST(timezone(:zone, d.expires_at) AS date) AS day,
           min(d.expires_at) AS expires_at, CAST(sum(d.points) AS bigint) AS points, min(d.via::text)::uuid AS via
    FROM said s JOIN due d ON d.id = s.lot_id JOIN identity_map m ON m.via = d.via
    GROUP BY m.customer_id, d.currency, d.days, day ORDER BY m.customer_id, d.currency, day""")


async def activity(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, list[datetime]]:
    """When each customer earned or spent anything, ascending."""
    rows = await session.execute(
        text("""SELECT m.customer_id, p.at FROM identity_map m JOIN posting p ON p.via = m.via
                WHERE m.customer_id = ANY(:ids) AND p.kind IN ('earn', 'spend')
                  AND NOT EXISTS (SELECT FROM posting r WHERE r.returns = p.id) ORDER BY p.at"""),
        {"ids": list(customers)},
    )
    found: dict[UUID, list[datetime]] = {}
    for row in rows:
        found.setdefault(row.customer_id, []).append(row.at)
    return found


async def due_lots_of_customers(
    session: ReadSession, customers: Collection[UUID], now: datetime
) -> list[tuple[UUID, UUID]]:
    """Lots of customers past their expiry that nobody has swept yet, with their `via`."""
    rows = await session.execute(
        text("""SELECT l.id, l.via FROM identity_map m JOIN lot l ON l.via = m.via WHERE m.customer_id = ANY(:ids)
                  AND NOT l.swept AND l.state = 'active' AND l.expires_at <= :now ORDER BY l.expires_at, l.id"""),
        {"ids": list(customers), "now": now},
    )
    return [(row.id, row.via) for row in rows]


async def standing_lots(
    session: ReadSession, customers: Collection[UUID], currencies: Collection[str]
) -> list[tuple[UUID, Lot]]:
    """The lots of customers in some currencies of which something stands, each with its customer."""
    rows = await session.execute(
        text(f"""SELECT m.customer_id, {", ".join(f"l.{name}" for name in Lot.__struct_fields__)}
                 FROM identity_map m CROSS JOIN LATERAL (
                     SELECT * FROM lot WHERE via = m.via AND currency = ANY(:currencies) AND points > reversed + expired
                     OFFSET 0
                 ) AS l WHERE m.customer_id = ANY(:ids)"""),  # noqa: S608 (names of ours)
        {"ids": list(customers), "currencies": list(currencies)},
    )
    return [(row["customer_id"], Lot(**{name: row[name] for name in Lot.__struct_fields__})) for row in rows.mappings()]


async def move_expiries(session: WriteSession, changed: Sequence[tuple[UUID, datetime | None]]) -> None:
    """Let lots end at other instants."""
    if changed:
        await session.execute(
            text("""UPDATE lot SET expires_at = c.at, swept = false
                    FROM unnest(CAST(:ids AS uuid[]), CAST(:ats AS timestamptz[])) AS c (id, at)
                    WHERE lot.id = c.id"""),
            {"ids": [key for key, _ in changed], "ats": [at for _, at in changed]},
        )


async def announce(
    session: WriteSession, days: Sequence[int], now: datetime, zone: str, limit: int
) -> Sequence[Row[Any]]:
    """Note that what expires within so many days is announced; returns what, by customer, currency and day.

    At most `limit` lots at a time: call again until nothing comes.
    """
    values = {"days": list(days), "now": now, "until": now + timedelta(days=max(days)), "zone": zone, "n": limit}
    return (await session.execute(_NOTICES, values)).all()


async def forget_notices(session: WriteSession, now: datetime) -> None:
    """Remove the notices of what has expired."""
    await session.execute(text("DELETE FROM expiry_notice WHERE expires_at < :now"), {"now": now - timedelta(days=7)})
