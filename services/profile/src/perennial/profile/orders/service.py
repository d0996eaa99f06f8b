"""What was said of an order, folded into one row that does not depend on the order of arrival.

The first `Order Completed` (by event time, then message id) makes the order: its identifier owns it, its time dates
it. The amount is that event's, or the newest `Order Updated`'s if that is newer and names one. Partial refunds add up,
never beyond the amount; `Order Refunded` without an amount refunds all. A cancelled order counts no more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from perennial.common import commerce
from perennial.common.contracts.hot import read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.profile.orders import queries
from perennial.profile.timeline.service import name_of

ZERO = Decimal(0)
Stamp = tuple[datetime, str]


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
        """In the order of `queries.COLUMNS`."""
        first, updated = self.completed, self.updated
        completed = (first.via, *first.stamp, first.amount, first.currency, first.items) if first else (None,) * 6
        changed = (*updated[0], updated[1]) if updated else (None,) * 3
        refunds = (self.refund_total, self.refunded_in_full, self.refunded_at)
        return (self.source, self.order_id, *completed, *changed, *refunds, self.cancelled_at)


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Write what the order events among these say."""
    folded = fold(events)
    if folded:
        await queries.write(session, [order.row() for order in folded])


def fold(events: Iterable[ResolvedEvent]) -> list[Order]:
    """One Order for each (source, order id), sorted by them.

    An Order Completed without an order id is an order of its own, named after its message; other events without one
    speak of no order.
    """
    found: dict[tuple[str, str], Order] = {}
    for event in events:
        name = name_of(event)
        if name is None or name not in commerce.ORDER_EVENTS:
            continue
        properties = read_body(event.body).properties or {}
        order_id = commerce.order_id(properties)
        if order_id is None:
            if name != commerce.ORDER_COMPLETED:
                continue
            order_id = f"message:{event.message_id}"
        order = found.setdefault((event.source, order_id), Order(event.source, order_id))
        order.take(event, name, properties)
    return [found[key] for key in sorted(found)]


def _completed(event: ResolvedEvent, stamp: Stamp, amount: Decimal | None, properties: dict[str, Any]) -> Completed:
    products = properties.get("products")
    items = len(products) if isinstance(products, list) else 0
    return Completed(stamp, event.via, amount, commerce.currency(properties, "") or None, items)
