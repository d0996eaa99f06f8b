"""The SQL of orders. Rows are locked by id in ascending order, before any account."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
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
    CAST(:earned AS jsonb[]), CAST(:reversed AS jsonb[]), CAST(:waived AS jsonb[]), CAST(:c_told AS jsonb[]),
    CAST(:u_told AS jsonb[]), CAST(:delivered AS timestamptz[]), CAST(:released AS timestamptz[]))"""
_COLUMNS = """id, source, order_id, via, completed_at, completed_by, completed_amount, completed_points,
    updated_at, updated_by, updated_amount, updated_points, earned, reversed, waived,
    completed_told, updated_told, delivered_at, released_at"""
_INSERT = text(
    f"INSERT INTO purchase ({_COLUMNS}) SELECT * FROM {_ARRAYS} ON CONFLICT (id) DO NOTHING RETURNING id"  # noqa: S608
)
_UPDATE = text(f"""
    UPDATE purchase p SET
        via = n.via, completed_at = n.completed_at, completed_by = n.completed_by,
        completed_amount = n.completed_amount, completed_points = n.completed_points, updated_at = n.updated_at,
        updated_by = n.updated_by, updated_amount = n.updated_amount, updated_points = n.updated_points,
        earned = n.earned, reversed = n.reversed, waived = n.waived, completed_told = n.completed_told,
        updated_told = n.updated_told, delivered_at = n.delivered_at, released_at = n.released_at
    FROM {_ARRAYS} AS n ({_COLUMNS}) WHERE p.id = n.id""")  # noqa: S608
_LOCK = text(f"SELECT {_COLUMNS} FROM purchase WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")  # noqa: S608

_FIND = text(f"SELECT {_COLUMNS} FROM purchase WHERE id = :id")  # noqa: S608


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
        text("""SELECT purchase_id, coalesce(sum(amount), 0) AS amount, bool_or(amount IS NULL) AS whole,
                       min(at) AS at
                FROM refund WHERE purchase_id = ANY(:ids) GROUP BY purchase_id"""),
        {"ids": list(ids)},
    )
    for row in refunds:
        item = purchases[row.purchase_id]
        item.refunded, item.whole, item.refunded_at = row.amount, row.whole, row.at
    return purchases


async def find(session: ReadSession, key: UUID) -> Purchase | None:
    """An order as it stands; what was refunded of it is left out."""
    row = (await session.execute(_FIND, {"id": key})).one_or_none()
    return None if row is None else _purchase(row)


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


async def vias(session: ReadSession, ids: Collection[UUID]) -> set[UUID]:
    """The identifiers that own orders, as far as they are completed."""
    rows = await session.execute(
        text("SELECT via FROM purchase WHERE id = ANY(:ids) AND via IS NOT NULL"), {"ids": list(ids)}
    )
    return set(rows.scalars())


async def balances(session: ReadSession, vias: Collection[UUID]) -> dict[tuple[UUID, str], int]:
    """What can be spent of each identifier's account, by currency."""
    rows = await session.execute(
        text("SELECT via, currency, balance FROM account WHERE via = ANY(:vias)"), {"vias": list(vias)}
    )
    return {(row.via, row.currency): row.balance for row in rows}


async def move_active(session: WriteSession, moved: Mapping[UUID, datetime]) -> None:
    """Let what is pending become active at other instants."""
    if moved:
        await session.execute(
            text("""UPDATE lot SET active_at = c.at
                    FROM unnest(CAST(:ids AS uuid[]), CAST(:ats AS timestamptz[])) AS c (id, at)
                    WHERE lot.id = c.id AND lot.state = 'pending'"""),
            {"ids": list(moved), "ats": list(moved.values())},
        )


def _purchase(row: Row[Any]) -> Purchase:
    return Purchase(
        row.id,
        row.source,
        row.order_id,
        row.via,
        _stated(row.completed_at, row.completed_by, row.completed_amount, row.completed_points, row.completed_told),
        _stated(row.updated_at, row.updated_by, row.updated_amount, row.updated_points, row.updated_told),
        earned=row.earned,
        reversed=row.reversed,
        waived=row.waived,
        delivered_at=row.delivered_at,
        released_at=row.released_at,
    )


def _stated(at: Any, by: UUID, amount: Decimal, points: Points, told: Any) -> Stated | None:
    return None if at is None else Stated(at, by, amount, points, told)


def _values(purchases: Sequence[Purchase]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {
        "ids": [item.id for item in purchases],
        "sources": [item.source for item in purchases],
        "orders": [item.order_id for item in purchases],
        "vias": [item.via for item in purchases],
        "earned": [json.dumps(item.earned) for item in purchases],
        "reversed": [json.dumps(item.reversed) for item in purchases],
        "waived": [json.dumps(item.waived) for item in purchases],
        "delivered": [item.delivered_at for item in purchases],
        "released": [item.released_at for item in purchases],
    }
    for prefix, stated in (("c", [item.completed for item in purchases]), ("u", [item.updated for item in purchases])):
        for name in ("at", "by", "amount"):
            values[f"{prefix}_{name}"] = [getattr(item, name, None) for item in stated]
        values[f"{prefix}_points"] = [None if item is None else json.dumps(item.points) for item in stated]
        values[f"{prefix}_told"] = [None if item is None or item.told is None else json.dumps(item.told)
                                    for item in stated]  # fmt: skip
    return values
