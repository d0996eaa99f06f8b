"""The SQL of orders. Rows are locked by id in ascending order, before any account."""

import json
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.orders.facts import OrderEvent, Points, Purchase, Stated

_ARRAYS = """unnest(
    CAST(:ids AS uuid[]), CAST(:sources AS text[]), CAST(:orders AS text[]), CAST(:vias AS uuid[]),
    CAST(:c_at AS timestamptz[]), CAST(:c_by AS uuid[]), CAST(:c_amount AS numeric[]), CAST(:c_points AS jsonb[]),
    CAST(:u_at AS timestamptz[]), CAST(:u_by AS uuid[]), CAST(:u_amount AS numeric[]), CAST(:u_points AS jsonb[]),
    CAST(:earned AS jsonb[]), CAST(:reversed AS jsonb[]))"""
_COLUMNS = """id, source, order_id, via, completed_at, completed_by, completed_amount, completed_points,
    updated_at, updated_by, updated_amount, updated_points, earned, reversed"""
_INSERT = text(
    f"INSERT INTO purchase ({_COLUMNS}) SELECT * FROM {_ARRAYS} ON CONFLICT (id) DO NOTHING RETURNING id"  # noqa: S608
)
_UPDATE = text(f"""
    UPDATE purchase p SET
        via = n.via, completed_at = n.completed_at, completed_by = n.completed_by,
        completed_amount = n.completed_amount, completed_points = n.completed_points, updated_at = n.updated_at,
        updated_by = n.updated_by, updated_amount = n.updated_amount, updated_points = n.updated_points,
        earned = n.earned, reversed = n.reversed
    FROM {_ARRAYS} AS n ({_COLUMNS}) WHERE p.id = n.id""")  # noqa: S608
_LOCK = text(f"SELECT {_COLUMNS} FROM purchase WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")  # noqa: S608


async def insert(session: WriteSession, purchases: Sequence[Purchase]) -> set[UUID]:
    """Add the orders that nobody has heard of; returns which those were."""
    return set((await session.execute(_INSERT, _values(purchases))).scalars())


async def update(session: WriteSession, purchases: Sequence[Purchase]) -> None:
    """Write what orders have become."""
    if purchases:
        await session.execute(_UPDATE, _values(purchases))


async def lock(session: WriteSession, ids: Sequence[UUID]) -> dict[UUID, Purchase]:
    """Orders as they stand, held until the transaction ends, with what has been refunded of them."""
    rows = await session.execute(_LOCK, {"ids": list(ids)})
    purchases = {row.id: _purchase(row) for row in rows}
    # A statement of its own: only now are the refunds visible of whoever held the orders before.
    refunds = await session.execute(
        text("""SELECT purchase_id, coalesce(sum(amount), 0) AS amount, bool_or(amount IS NULL) AS whole
                FROM refund WHERE purchase_id = ANY(:ids) GROUP BY purchase_id"""),
        {"ids": list(ids)},
    )
    for row in refunds:
        purchases[row.purchase_id].refunded, purchases[row.purchase_id].whole = row.amount, row.whole
    return purchases


async def add_refunds(session: WriteSession, events: Sequence[OrderEvent]) -> None:
    """Note refunds; the same one a second time changes nothing."""
    if events:
        await session.execute(
            text("""INSERT INTO refund (purchase_id, key, at, amount)
                    SELECT * FROM unnest(CAST(:purchases AS uuid[]), CAST(:keys AS text[]),
                                         CAST(:ats AS timestamptz[]), CAST(:amounts AS numeric[]))
                    ON CONFLICT DO NOTHING"""),
            {
                "purchases": [event.purchase_id for event in events],
                "keys": [event.refund_key for event in events],
                "ats": [event.at for event in events],
                "amounts": [event.amount for event in events],
            },
        )


async def tiers(session: ReadSession, vias: Collection[UUID]) -> Mapping[UUID, str]:
    """The tier of the customer of each identifier, where there is one."""
    rows = await session.execute(
        text("""SELECT m.via, t.tier FROM identity_map m JOIN tier_state t ON t.customer_id = m.customer_id
                WHERE m.via = ANY(:vias)"""),
        {"vias": list(vias)},
    )
    return {row.via: row.tier for row in rows}


def _purchase(row: Row[Any]) -> Purchase:
    return Purchase(
        row.id,
        row.source,
        row.order_id,
        row.via,
        _stated(row.completed_at, row.completed_by, row.completed_amount, row.completed_points),
        _stated(row.updated_at, row.updated_by, row.updated_amount, row.updated_points),
        earned=row.earned,
        reversed=row.reversed,
    )


def _stated(at: Any, by: UUID, amount: Decimal, points: Points) -> Stated | None:
    return None if at is None else Stated(at, by, amount, points)


def _values(purchases: Sequence[Purchase]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {
        "ids": [item.id for item in purchases],
        "sources": [item.source for item in purchases],
        "orders": [item.order_id for item in purchases],
        "vias": [item.via for item in purchases],
        "earned": [json.dumps(item.earned) for item in purchases],
        "reversed": [json.dumps(item.reversed) for item in purchases],
    }
    for prefix, stated in (("c", [item.completed for item in purchases]), ("u", [item.updated for item in purchases])):
        for name in ("at", "by", "amount"):
            values[f"{prefix}_{name}"] = [getattr(item, name, None) for item in stated]
        values[f"{prefix}_points"] = [None if item is None else json.dumps(item.points) for item in stated]
    return values
