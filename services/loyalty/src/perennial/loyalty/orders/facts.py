"""Orders, whatever the sequence in which their events come: what an order has earned, and what a refund takes back."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

What = Literal["completed", "updated", "refunded", "delivered"]
Points = Mapping[str, int]
"""By currency; one that is not there is 0."""

NOTHING = Decimal(0)
CENTS = 100


class OrderEvent(msgspec.Struct, frozen=True):
    """What one event says of an order, which counts once per source and order id: these make its `purchase_id`.

    A refund's `amount` is None when the whole order goes back; its `refund_key` names it, so that it counts once.
    """

    id: UUID
    what: What
    source: str
    order_id: str
    purchase_id: UUID
    via: UUID
    at: datetime
    live: bool
    amount: Decimal | None
    properties: Mapping[str, Any]
    refund_key: str = ""


class Stated(msgspec.Struct, frozen=True):
    """The worth of an order as one event states it, and the points for that. Of several, the first or last is taken.

    `told` is what the rules saw, where the amount alone does not tell.
    """

    at: datetime
    by: UUID
    amount: Decimal
    points: Points
    told: Mapping[str, Any] | None = None

    @property
    def order(self) -> tuple[datetime, UUID]:
        """By the time of the event; ties by its id."""
        return self.at, self.by


class Purchase(msgspec.Struct):
    """An order as its events tell it so far, and what has been posted for it.

    `waived` is what refunds asked for and the currency's policy left to the customer.
    """

    id: UUID
    source: str
    order_id: str
    via: UUID | None = None
    completed: Stated | None = None
    updated: Stated | None = None
    refunded: Decimal = NOTHING
    whole: bool = False
    refunded_at: datetime | None = None
    earned: Points = {}
    reversed: Points = {}
    waived: Points = {}
    delivered_at: datetime | None = None
    released_at: datetime | None = None

    def hear(self, event: OrderEvent, stated: Stated | None) -> None:
        """Take over what an event says; the earliest completion and delivery and the latest update hold."""
        if event.what == "delivered":
            self.delivered_at = min(self.delivered_at or event.at, event.at)
        if stated is None:
            return
        if event.what == "completed":
            self.via = self.via or event.via
            if self.completed is None or stated.order < self.completed.order:
                self.completed = stated
        elif event.amount is not None and (self.updated is None or stated.order > self.updated.order):
            self.updated = stated

    @property
    def stated(self) -> Stated | None:
        """What holds now: the latest update, unless the order was completed after it."""
        if self.completed is None or self.updated is None or self.updated.at < self.completed.at:
            return self.completed
        return self.updated

    def grant(self, points: Points, told: Mapping[str, Any]) -> None:
        """Let what holds now bring so many points."""
        if self.completed is not None and self.stated is self.completed:
            self.completed = replace(self.completed, points=points, told=told)
        elif self.updated is not None:
            self.updated = replace(self.updated, points=points, told=told)

    @property
    def plain(self) -> bool:
        """Whether it was completed, and nothing else is known of it: so most orders stay."""
        return not (self.completed is None or self.updated or self.refunded or self.whole or self.reversed)

    @property
    def currencies(self) -> set[str]:
        """Those in which there is something to say of the order."""
        return {*self.earned, *self.reversed, *(self.stated.points if self.stated else ())}

    def kept(self, currency: str) -> int:
        """The points that the order should leave with the customer.

        A refund takes its share of the points, rounded down over all refunds together; the whole takes all.
        """
        stated = self.stated
        if stated is None or self.whole or (self.refunded and self.refunded >= stated.amount):
            return 0
        points = stated.points.get(currency, 0)
        if not points or not self.refunded:
            return points
        return points - points * int(self.refunded * CENTS) // int(stated.amount * CENTS)

    @property
    def target(self) -> tuple[Points, Points]:
        """What should have been earned and reversed in all; neither is ever less than what has been posted."""
        if self.plain and self.completed is not None and not self.earned:
            return self.completed.points, {}
        if self.stated is None or self.via is None:
            return self.earned, self.reversed
        earned, taken = {}, {}
        for currency in sorted(self.currencies):
            kept, before = self.kept(currency), self.reversed.get(currency, 0)
            points = max(self.earned.get(currency, 0), self.stated.points.get(currency, 0), kept + before)
            earned[currency], taken[currency] = points, points - kept
        return earned, taken

    def owes(self) -> Points:
        """What refunds have still to take back."""
        if self.plain and self.completed is not None and self.earned == self.completed.points:
            return {}
        due = {
            currency: points - self.reversed.get(currency, 0) - self.waived.get(currency, 0)
            for currency, points in self.target[1].items()
        }
        return {currency: points for currency, points in due.items() if points > 0}


def gather(events: Iterable[OrderEvent]) -> dict[UUID, list[OrderEvent]]:
    """Events by order, the orders sorted by id: so everybody locks them in the same sequence."""
    found: dict[UUID, list[OrderEvent]] = {}
    for event in events:
        found.setdefault(event.purchase_id, []).append(event)
    return {key: found[key] for key in sorted(found, key=attrgetter("int"))}
