"""The SQL of orders."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession, raw

_FIRST = {
    "via": "uuid",
    "completed_at": "timestamptz",
    "completed_message_id": "text",
    "completed_amount": "numeric",
    "currency": "text",
    "items": "int",
}
_NEWEST = {"updated_at": "timestamptz", "updated_message_id": "text", "updated_amount": "numeric"}
_KEY = {"source": "text", "order_id": "text"}
_REST = {
    "refund_total": "numeric",
    "refunded_in_full": "bool",
    "refunded_at": "timestamptz",
    "cancelled_at": "timestamptz",
}
_TYPES = _KEY | _FIRST | _NEWEST | _REST
COLUMNS = tuple(_TYPES)

_IS_FIRST = """p.completed_at IS NULL OR (excluded.completed_at, excluded.completed_message_id)
            < (p.completed_at, p.completed_message_id)"""
_IS_NEWEST = """p.updated_at IS NULL OR (excluded.updated_at, excluded.updated_message_id)
            > (p.updated_at, p.updated_message_id)"""


def _when(condition: str, columns: Sequence[str]) -> str:
    kept = (f"{name} = CASE WHEN {condition} THEN excluded.{name} ELSE p.{name} END" for name in columns)
    return ",\n        ".join(kept)


_WRITE = f"""
    INSERT INTO purchase AS p ({", ".join(COLUMNS)})
    SELECT * FROM unnest({", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_TYPES.values(), 1))})
    ON CONFLICT (source, order_id) DO UPDATE SET
        {_when(_IS_FIRST, tuple(_FIRST))},
        {_when(_IS_NEWEST, tuple(_NEWEST))},
        refund_total = p.refund_total + excluded.refund_total,
        refunded_in_full = p.refunded_in_full OR excluded.refunded_in_full,
        refunded_at = greatest(p.refunded_at, excluded.refunded_at),
        cancelled_at = least(p.cancelled_at, excluded.cancelled_at)"""  # noqa: S608 (constants of ours)

REFUNDED = "CASE WHEN refunded_in_full THEN amount ELSE least(refund_total, amount) END"
SUMS = f"""count(*) AS orders, sum(amount) AS gmv, max(completed_at) AS last_order_at,
           coalesce(sum({REFUNDED}) FILTER (WHERE refunded_at IS NOT NULL), 0) AS refunded"""
COUNTS = "via IS NOT NULL AND cancelled_at IS NULL"
_MONTHS = text(f"""
    SELECT coalesce(currency, :currency) AS currency, date_trunc('month', timezone(:zone, completed_at)) AS month,
           {SUMS}
    FROM purchase WHERE {COUNTS} GROUP BY 1, 2 ORDER BY 1, 2""")  # noqa: S608 (constants of ours)


async def write(session: WriteSession, rows: Sequence[Sequence[Any]]) -> None:
    """Merge rows in the order of COLUMNS into what is known; unique and sorted by source and order id."""
    await (await raw(session)).execute(_WRITE, *zip(*rows, strict=True))


async def months(session: ReadSession, zone: str, currency: str) -> Sequence[Row[Any]]:
    """Orders per currency and calendar month in a zone; `currency` stands for orders that name none."""
    return (await session.execute(_MONTHS, {"zone": zone, "currency": currency})).all()
