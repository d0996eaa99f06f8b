"""The SQL of orders."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text

from perennial.common.db import ReadSession
from perennial.common.orders import REFUNDED

SUMS = f"""count(*) AS orders, sum(amount) AS gmv, max(completed_at) AS last_order_at,
           coalesce(sum({REFUNDED}) FILTER (WHERE refunded_at IS NOT NULL), 0) AS refunded"""
COUNTS = "via IS NOT NULL AND cancelled_at IS NULL"
_MONTHS = text(f"""
    SELECT coalesce(currency, :currency) AS currency, date_trunc('month', timezone(:zone, completed_at)) AS month,
           {SUMS}
    FROM purchase WHERE {COUNTS} GROUP BY 1, 2 ORDER BY 1, 2""")  # noqa: S608 (constants of ours)


async def months(session: ReadSession, zone: str, currency: str) -> Sequence[Row[Any]]:
    """Orders per currency and calendar month in a zone; `currency` stands for orders that name none."""
    return (await session.execute(_MONTHS, {"zone": zone, "currency": currency})).all()
