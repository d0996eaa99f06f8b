"""The SQL of RFM."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.orders import REFUNDED

_CUSTOMERS = f"""
    orders AS (
        SELECT m.customer_id, p.completed_at, p.amount - {REFUNDED} AS worth
        FROM purchase p JOIN identity_map m ON m.via = p.via
        WHERE p.cancelled_at IS NULL AND NOT p.refunded_in_full AND coalesce(p.currency, :currency) = :currency),
    customers AS (
        SELECT customer_id, max(completed_at) AS last_order_at, count(*) AS frequency, sum(worth) AS monetary
        FROM orders GROUP BY customer_id)"""  # noqa: S608 (a constant of ours)
_GROUP = """CASE
        WHEN r >= 4 AND f >= 4 THEN 'champions'
        WHEN r >= 3 AND f >= 4 THEN 'loyal'
        WHEN r = 5 AND f = 1 THEN 'new'
        WHEN r >= 4 AND f >= 2 THEN 'potential_loyalists'
        WHEN r = 4 THEN 'promising'
        WHEN r = 3 AND f = 3 THEN 'need_attention'
        WHEN r = 3 THEN 'about_to_sleep'
        WHEN f = 5 THEN 'cannot_lose'
        WHEN f >= 3 THEN 'at_risk'
        WHEN r = 2 THEN 'hibernating'
        ELSE 'lost' END"""
# Bands by rank, so that equal values always share a band: the best fifth of the customers is 5.
_SCORE = text(f"""
    WITH {_CUSTOMERS},
    scored AS (
        SELECT *, 1 + least(4, floor(5 * percent_rank() OVER (ORDER BY last_order_at)))::smallint AS r,
               1 + least(4, floor(5 * percent_rank() OVER (ORDER BY frequency)))::smallint AS f,
               1 + least(4, floor(5 * percent_rank() OVER (ORDER BY monetary)))::smallint AS m
        FROM customers)
    INSERT INTO rfm (customer_id, last_order_at, frequency, monetary, r, f, m, "group")
    SELECT customer_id, last_order_at, frequency, monetary, r, f, m, {_GROUP}
    FROM scored""")  # noqa: S608 (a constant of ours)
_COLUMNS = """customer_id, last_order_at, frequency, monetary, r, f, m, "group",
    (now() AT TIME ZONE :zone)::date - (last_order_at AT TIME ZONE :zone)::date AS recency_days"""


# The same ranks by counting: of a few customers among all the others, as they were scored last.
_AMONG = text(f"""
    WITH {_CUSTOMERS},
    everybody AS (
        SELECT last_order_at, frequency, monetary FROM rfm
        WHERE customer_id NOT IN (SELECT via FROM identity_map UNION SELECT customer_id FROM identity_map)
        UNION ALL SELECT last_order_at, frequency, monetary FROM customers),
    scored AS (
        SELECT c.*, 1 + least(4, floor(5 * (earlier / others)))::smallint AS r,
               1 + least(4, floor(5 * (rarer / others)))::smallint AS f,
               1 + least(4, floor(5 * (poorer / others)))::smallint AS m
        FROM customers c CROSS JOIN LATERAL (
            SELECT CAST(count(*) FILTER (WHERE e.last_order_at < c.last_order_at) AS double precision) AS earlier,
                   CAST(count(*) FILTER (WHERE e.frequency < c.frequency) AS double precision) AS rarer,
                   CAST(count(*) FILTER (WHERE e.monetary < c.monetary) AS double precision) AS poorer,
                   greatest(count(*) - 1, 1) AS others
            FROM everybody e) AS rank)
    SELECT {_COLUMNS.replace('"group"', f'{_GROUP} AS "group"')} FROM scored
    WHERE customer_id = ANY(:ids)""")  # noqa: S608 (constants of ours)


async def among(session: ReadSession, customers: Collection[UUID], currency: str, zone: str) -> dict[UUID, Row[Any]]:
    """Where customers would stand by the map of this session, which must know of no others (see `preview`)."""
    rows = await session.execute(_AMONG, {"ids": list(customers), "currency": currency, "zone": zone})
    return {row.customer_id: row for row in rows}


async def score(session: WriteSession, currency: str) -> None:
    """Compute every customer's standing anew, in one transaction: readers see the old one until it is there."""
    await session.execute(text("DELETE FROM rfm"))
    await session.execute(_SCORE, {"currency": currency})
    await session.execute(
        text("""INSERT INTO rfm_run (id, as_of, customers, orders)
                SELECT 1, now(), count(*), coalesce(sum(frequency), 0) FROM rfm
                ON CONFLICT (id) DO UPDATE SET as_of = excluded.as_of, customers = excluded.customers,
                                               orders = excluded.orders""")
    )


async def one(session: ReadSession, customer: UUID, zone: str) -> Row[Any] | None:
    """A customer's standing."""
    statement = text(f"SELECT {_COLUMNS} FROM rfm WHERE customer_id = :id")  # noqa: S608 (a constant of ours)
    return (await session.execute(statement, {"id": customer, "zone": zone})).one_or_none()


async def page(
    session: ReadSession, group: str | None, after: UUID | None, limit: int, zone: str
) -> Sequence[Row[Any]]:
    """Customers' standings by customer id."""
    statement = f"""SELECT {_COLUMNS} FROM rfm WHERE (CAST(:group AS text) IS NULL OR "group" = :group)
        AND (CAST(:after AS uuid) IS NULL OR customer_id > :after)
        ORDER BY customer_id LIMIT :limit"""  # noqa: S608 (a constant of ours)
    rows = await session.execute(text(statement), {"group": group, "after": after, "limit": limit, "zone": zone})
    return rows.all()


async def groups(session: ReadSession) -> Sequence[Row[Any]]:
    """Customers and money of each group."""
    statement = """SELECT "group", count(*) AS customers, sum(monetary) AS monetary FROM rfm
                   GROUP BY 1 ORDER BY sum(monetary) DESC"""
    return (await session.execute(text(statement))).all()


async def last_run(session: ReadSession) -> tuple[datetime, int, int] | None:
    """When the standings were computed, over how many customers and orders."""
    row = (await session.execute(text("SELECT as_of, customers, orders FROM rfm_run"))).one_or_none()
    return None if row is None else (row.as_of, row.customers, row.orders)
