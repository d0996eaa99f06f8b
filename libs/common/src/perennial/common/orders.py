"""What was said of an order, folded into one row that does not depend on the order of arrival.

The first `Order Completed` (by event time, then message id) makes the order: its identifier owns it, its time dates
it. The amount is that event's, or the newest `Order Updated`'s if that is newer and names one. Partial refunds add up,
never beyond the amount; `Order Refunded` without an amount refunds all. A cancelled order counts no more.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Column, Computed, DateTime, Index, Integer, MetaData, Numeric, Table, Text, Uuid, text

from perennial.common import commerce
from perennial.common.contracts.hot import read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import arrays

ZERO = Decimal(0)
LONGEST_KNOWN = 200
Stamp = tuple[datetime, str]

_AMOUNT = (
    "CASE WHEN (updated_at, updated_message_id) > (completed_at, completed_message_id)"
    " THEN updated_amount ELSE coalesce(completed_amount, 0) END"
)
REFUNDED = "CASE WHEN refunded_in_full THEN amount ELSE least(refund_total, amount) END"

_TYPES = {
    "source": "text",
    "order_id": "text",
    "via": "uuid",
    "completed_at": "timestamptz",
    "completed_message_id": "text",
    "completed_amount": "numeric",
    "currency": "text",
    "items": "int",
    "updated_at": "timestamptz",
    "updated_message_id": "text",
    "updated_amount": "numeric",
    "refund_total": "numeric",
    "refunded_in_full": "bool",
    "refunded_at": "timestamptz",
    "cancelled_at": "timestamptz",
}
COLUMNS = tuple(_TYPES)
_FIRST = ("via", "completed_at", "completed_message_id", "completed_amount", "currency", "items")
_NEWEST = ("updated_at", "updated_message_id", "updated_amount")
_IS_FIRST = """p.completed_at IS NULL OR (excluded.completed_at, excluded.completed_message_id)
            < (p.completed_at, p.completed_message_id)"""
_IS_NEWEST = """p.updated_at IS NULL OR (excluded.updated_at, excluded.updated_message_id)
            > (p.updated_at, p.updated_message_id)"""


def _when(condition: str, columns: Sequence[str]) -> str:
    kept = (f"{name} = CASE WHEN {condition} THEN excluded.{name} ELSE p.{name} END" for name in columns)
    return ",\n        ".join(kept)


_WRITE = f"""
    INSERT INTO purchase AS p ({", ".join(_TYPES)})
    SELECT * FROM unnest({", ".join(f"${n}::text::{kind}[]" for n, kind in enumerate(_TYPES.values(), 1))})
    ON CONFLICT (source, order_id) DO UPDATE SET
        {_when(_IS_FIRST, _FIRST)},
        {_when(_IS_NEWEST, _NEWEST)},
        refund_total = p.refund_total + excluded.refund_total,
        refunded_in_full = p.refunded_in_full OR excluded.refunded_in_full,
        refunded_at = greatest(p.refunded_at, excluded.refunded_at),
        cancelled_at = least(p.cancelled_at, excluded.cancelled_at)"""  # noqa: S608 (constants of ours)


def order_table(metadata: MetaData) -> Table:
    """Table `purchase`: a row is an order once its `via` is known. Text that breaks ties sorts alike everywhere."""
    word, instant = Text(collation="C"), DateTime(timezone=True)
    table = Table(
        "purchase",
        metadata,
        Column("source", word, primary_key=True),
        Column("order_id", word, primary_key=True),
        Column("via", Uuid),
        Column("completed_at", instant),
        Column("completed_message_id", word),
        Column("completed_amount", Numeric),
        Column("currency", Text),
        Column("items", Integer),
        Column("updated_at", instant),
        Column("updated_message_id", word),
        Column("updated_amount", Numeric),
        Column("refund_total", Numeric, nullable=False, server_default=text("0")),
        Column("refunded_in_full", Boolean, nullable=False, server_default=text("false")),
        Column("refunded_at", instant),
        Column("cancelled_at", instant),
        Column("amount", Numeric, Computed(_AMOUNT, persisted=True)),
    )
    Index("ix_purchase_via", table.c.via, postgresql_where=table.c.via.is_not(None))
    return table


@dataclass(frozen=True, slots=True)
class Completed:
    """The facts of one Order Completed."""

    stamp: Stamp
    via: UUID
    amount: Decimal | None
    currency: str | None
    items: int


@dataclass(slots=True)
class Order:
    """All that some events say of one order; merging two of these is what the database does with a row."""

    source: str
    order_id: str
    completed: Completed | None = None
    updated: tuple[Stamp, Decimal] | None = None
    refund_total: Decimal = ZERO
    refunded_in_full: bool = False
    refunded_at: datetime | None = None
    cancelled_at: datetime | None = None

    def take(self, event: ResolvedEvent, name: str, properties: dict[str, Any]) -> None:
        """Add what one event says."""
        amount, stamp = commerce.amount(properties), (event.timestamp, event.message_id)
        if name == commerce.ORDER_COMPLETED:
            if self.completed is None or stamp < self.completed.stamp:
                self.completed = _completed(event, stamp, amount, properties)
        elif name == commerce.ORDER_UPDATED:
            if amount is not None and (self.updated is None or self.updated[0] < stamp):
                self.updated = (stamp, amount)
        elif name == commerce.ORDER_REFUNDED:
            self.refund_total += abs(amount or ZERO)
            self.refunded_in_full |= amount is None
            self.refunded_at = max(self.refunded_at or event.timestamp, event.timestamp)
        else:
            self.cancelled_at = min(self.cancelled_at or event.timestamp, event.timestamp)

    def row(self) -> tuple[Any, ...]:
        """The values of the table's columns, in their order."""
        first, updated = self.completed, self.updated
        completed = (first.via, *first.stamp, first.amount, first.currency, first.items) if first else (None,) * 6
        changed = (*updated[0], updated[1]) if updated else (None,) * 3
        refunds = (self.refund_total, self.refunded_in_full, self.refunded_at)
        return (self.source, self.order_id, *completed, *changed, *refunds, self.cancelled_at)


Said = tuple[ResolvedEvent, str, dict[str, Any]]
"""An event that speaks of an order, its canonical name, and its properties."""
Info = dict[Any, Any]


async def record(session: WriteSession, events: Iterable[ResolvedEvent]) -> None:
    """Write what the order events among these say, merged with what is known, in one statement."""
    folded = _folded(of_orders(events, session.info))
    if folded:
        await write(session, folded)


async def write(session: WriteSession, folded: Iterable[Order]) -> None:
    """Merge orders, unique and sorted as `fold` gives them, into what is known."""
    await (await raw(session)).execute(_WRITE, *arrays(order.row() for order in folded))


def of_orders(events: Iterable[ResolvedEvent], info: Info) -> list[Said]:
    """Those of the events that speak of orders; see `properties` for `info`."""
    return [
        (event, name, properties(event, info))
        for event in events
        if event.type == "track" and event.name and (name := _named(event.name)) is not None
    ]


def properties(event: ResolvedEvent, info: Info) -> dict[str, Any]:
    """An event's properties, which nobody may change: its body is read once in a transaction of this session's `info`.

    What is kept stays alive, so no other event gets its address.
    """
    read: dict[int, tuple[ResolvedEvent, dict[str, Any]]] = info.setdefault("properties", {})
    known = read.get(id(event))
    if known is None:
        known = read[id(event)] = (event, read_body(event.body).properties or {})
    return known[1]


def _named(name: str) -> str | None:
    """The canonical name, if it is one that speaks of orders."""
    return _speaks(name) if len(name) <= LONGEST_KNOWN else _speaks.__wrapped__(name)


@functools.lru_cache(maxsize=4096)  # of short names: what clients make up must not fill the memory
def _speaks(name: str) -> str | None:
    known = commerce.canonical(name)
    return known if known in commerce.ORDER_EVENTS else None


def fold(events: Iterable[ResolvedEvent]) -> list[Order]:
    """One Order for each (source, order id), sorted by them.

    An Order Completed without an order id is an order of its own, named after its message; other events without one
    speak of no order.
    """
    return _folded(of_orders(events, {}))


def _folded(said: Iterable[Said]) -> list[Order]:
    found: dict[tuple[str, str], Order] = {}
    for event, name, properties in said:
        order_id = commerce.order_id(properties)
        if order_id is None:
            if name != commerce.ORDER_COMPLETED:
                continue
            order_id = f"message:{event.message_id}"
        place = (event.source, order_id)
        order = found.get(place)
        if order is None:
            order = found[place] = Order(event.source, order_id)
        order.take(event, name, properties)
    return [found[key] for key in sorted(found)]


def _completed(event: ResolvedEvent, stamp: Stamp, amount: Decimal | None, properties: dict[str, Any]) -> Completed:
    products = properties.get("products")
    items = len(products) if isinstance(products, list) else 0
    return Completed(stamp, event.via, amount, commerce.currency(properties, "") or None, items)
