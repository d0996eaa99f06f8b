"""The SQL of orders. Rows are locked by id in ascending order, before any account."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession, raw
from perennial.common.db.arrays import array, json_array
from perennial.loyalty.orders import writing
from perennial.loyalty.orders.facts import OrderEvent, Points, Purchase, Stated

_encode = msgspec.json.Encoder().encode
_NOTHING = (None,) * 4
MANY = 100

_TYPES = {
    "id": "uuid",
    "source": "text",
    "order_id": "text",
    "via": "uuid",
    "completed_at": "timestamptz",
    "completed_by": "uuid",
    "completed_amount": "numeric",
    "completed_points": "jsonb",
    "updated_at": "timestamptz",
    "updated_by": "uuid",
    "updated_amount": "numeric",
    "updated_points": "jsonb",
    "earned": "jsonb",
    "reversed": "jsonb",
    "waived": "jsonb",
    "completed_told": "jsonb",
    "updated_told": "jsonb",
    "delivered_at": "timestamptz",
    "released_at": "timestamptz",
}
_COLUMNS = ", ".join(_TYPES)
_NEVER_NULL = ("earned", "reversed", "waived")
_GIVEN = {name: f"coalesce(n.{name}, '{{}}')" if name in _NEVER_NULL else f"n.{name}" for name in _TYPES}
_ARRAYS = f"unnest({', '.join(f'${n}::text::{kind}[]' for n, kind in enumerate(_TYPES.values(), 1))}) AS n ({_COLUMNS})"
# As a rule all are new: then no id comes back.
_INSERT = f"""
    WITH made AS (
        INSERT INTO purchase ({_COLUMNS}) SELECT {", ".join(_GIVEN.values())} FROM {_ARRAYS}
        ON CONFLICT (id) DO NOTHING RETURNING id)
    SELECT CASE WHEN count(*) < cardinality($1::text::uuid[]) THEN coalesce(array_agg(id), '{{}}') END
    FROM made"""  # noqa: S608 (constants of ours)
_SET = ", ".join(f"{name} = {given}" for name, given in _GIVEN.items() if name not in {"id", "source", "order_id"})
_UPDATE = f"UPDATE purchase p SET {_SET} FROM {_ARRAYS} WHERE p.id = n.id"  # noqa: S608
_LOCK = text(f"SELECT {_COLUMNS} FROM purchase WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")  # noqa: S608

_FIND = text(f"SELECT {_COLUMNS} FROM purchase WHERE id = :id")  # noqa: S608


async def insert(session: WriteSession, purchases: Sequence[Purchase], *, fresh: bool = False) -> set[UUID]:
    """Add the orders that nobody has heard of; returns which somebody had. `fresh`: as a rule that is none."""
    if fresh and len(purchases) >= MANY and await writing.add(session, purchases):
        return set()
    made = await (await raw(session)).fetchval(_INSERT, *_values(purchases))
    return set() if made is None else {item.id for item in purchases} - set(made)


async def update(session: WriteSession, purchases: Sequence[Purchase]) -> None:
    """Write what orders have become."""
    if purchases:
        await (await raw(session)).execute(_UPDATE, *_values(purchases))


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


def _values(purchases: Sequence[Purchase]) -> list[str]:
    """The columns, in their order, as array literals; an empty one is read as null throughout."""
    columns = zip(*(_row(item) for item in purchases), strict=True)
    return [
        "{}" if column.count(None) == len(column) else (json_array if kind == "jsonb" else array)(column)
        for kind, column in zip(_TYPES.values(), columns, strict=True)
    ]


def _row(item: Purchase) -> tuple[Any, ...]:
    completed, updated = item.completed, item.updated
    return (
        item.id, item.source, item.order_id, item.via,
        *(_NOTHING if completed is None else (completed.at, completed.by, completed.amount, _json(completed.points))),
        *(_NOTHING if updated is None else (updated.at, updated.by, updated.amount, _json(updated.points))),
        _json(item.earned) if item.earned else None,
        _json(item.reversed) if item.reversed else None,
        _json(item.waived) if item.waived else None,
        None if completed is None or completed.told is None else json.dumps(completed.told),
        None if updated is None or updated.told is None else json.dumps(updated.told),
        item.delivered_at, item.released_at,
    )  # fmt: skip


def _json(points: Points) -> str:
    return _encode(points).decode()
