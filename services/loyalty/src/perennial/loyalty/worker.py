"""The table of reactions: what loyalty hears, and which verb answers."""

from collections.abc import Iterator

from perennial.common import commerce
from perennial.common.contracts.hot import read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.common.derive import Derivation, Stale
from perennial.common.messaging import on
from perennial.loyalty.orders import service as orders
from perennial.loyalty.orders.facts import OrderEvent, What
from perennial.loyalty.points import service as points
from perennial.loyalty.tiers import service as tiers

_WHAT: dict[str, What] = {
    commerce.ORDER_COMPLETED: "completed",
    commerce.ORDER_UPDATED: "updated",
    commerce.ORDER_REFUNDED: "refunded",
    commerce.ORDER_CANCELLED: "refunded",
}


async def account_for_orders(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Orders earn, refunds and cancellations take back."""
    heard = [told for event in events for told in read_order(event)]
    if heard:
        await orders.account_for(session, heard)


def read_order(event: ResolvedEvent) -> Iterator[OrderEvent]:
    """What an event says of an order; a cancellation is the refund of all of it.

    A completed order without an id is an order of its own, named after its message.
    """
    if event.name not in _WHAT:
        return
    properties = read_body(event.body).properties or {}
    order_id = commerce.order_id(properties)
    if order_id is None:
        if event.name != commerce.ORDER_COMPLETED:
            return
        order_id = f"message:{event.message_id}"
    amount = None if event.name == commerce.ORDER_CANCELLED else commerce.amount(properties)
    what = _WHAT[event.name]
    if what == "refunded" and amount is not None:
        amount = abs(amount)
    refund_id = properties.get("refund_id")
    yield OrderEvent(
        event.id, what, event.source, order_id, event.via, event.timestamp, event.live, amount, properties,
        refund_id[:255] if isinstance(refund_id, str) and refund_id else str(event.id),
    )  # fmt: skip


async def refresh(session: WriteSession, stale: Stale) -> None:
    """Derive what customers used and where they stand."""
    await points.settle(session, stale.live)
    await tiers.refresh(session, stale)


REACTIONS = (on(ResolvedEvent, account_for_orders, names=commerce.ORDER_EVENTS),)
DERIVATION = Derivation(refresh)
