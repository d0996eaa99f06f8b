"""A batch of customers asked, each for the segments that what has changed concerns, in memory.

Customers and segments go by their places in lists: a UUID hashes slowly, and this is done many times a customer.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple, cast
from uuid import UUID

from perennial.common.rules import Predicate, View
from perennial.common.rules.changes.rolling import still
from perennial.segments.memberships.serving import Plan, Segment, Serving

__all__ = ["Asked", "Customer", "Segment"]


class Customer(NamedTuple):
    """Who is asked what: `before` has the places, as bits, of the segments that have the customer as a member.

    `timer`: when the clock may next change something, by what was known so far.
    """

    view: View
    plan: Plan
    before: int
    timer: datetime | None


class Asked:
    """Who is to enter and who to leave, as (segment, customer), and whose timer is to be another."""

    def __init__(self, serving: Serving, customers: Sequence[Customer], now: datetime) -> None:
        self.entering: list[tuple[UUID, UUID]] = []
        self.leaving: list[tuple[UUID, UUID]] = []
        self._now, self._customers = now, customers
        self._views, self._before = [one.view for one in customers], [one.before for one in customers]
        # Where not all is asked that the clock can change, what was known before stands, unless something comes sooner.
        self._due = [None if customer.plan.timed else customer.timer for customer in customers]
        # For most no event leaves any window before the timer that stands: whether one does is looked at but once.
        self._calm = [_is_calm(customer, now) for customer in customers]
        self._coming = [any(found[-1].at > now for found in one.view.events.values()) for one in customers]
        self._mentioned = serving.mentioned
        self.asked: dict[int, list[int]] = {}
        alike: dict[int, list[int]] = {}  # many are asked the same
        for n, customer in enumerate(customers):
            alike.setdefault(customer.plan.asked, []).append(n)
        for those in alike.values():
            for place in customers[those[0]].plan.places:
                self.asked.setdefault(place, []).extend(those)

    def ask(self, place: int, segment: Segment, listed: Mapping[UUID, AbstractSet[UUID]]) -> None:
        """One segment, those that its rule mentions having been asked."""
        holds, now, views, before = segment.holds or _on_list(segment.id, listed), self._now, self._views, self._before
        flips, due, mentioned, bit = segment.flips, self._due, segment.id in self._mentioned, 1 << place
        calm, coming, rolls, stays = self._calm, self._coming, segment.rolling is not None, segment.stays
        for n in self.asked[place]:
            view = views[n]
            is_in = holds(view, now)
            if mentioned:
                _show(view, segment.id, is_in=is_in)
            if is_in is not (before[n] & bit != 0):
                (self.entering if is_in else self.leaving).append((segment.id, view.customer_id))
            if flips is not None and not (rolls and (calm[n] or (is_in is stays and not coming[n]))):
                at = flips(view, now, is_in, due[n])
                if at is not None:
                    due[n] = at

    def due(self) -> dict[UUID, datetime]:
        """The timers to set."""
        return {
            customer.view.customer_id: at
            for customer, at in zip(self._customers, self._due, strict=True)
            if at is not None and (customer.plan.all or at != customer.timer)
        }

    def idle(self) -> list[UUID]:
        """The customers for whom the clock changes nothing."""
        return [
            customer.view.customer_id
            for customer, at in zip(self._customers, self._due, strict=True)
            if at is None and customer.timer is not None
        ]


def _on_list(segment: UUID, listed: Mapping[UUID, AbstractSet[UUID]]) -> Predicate:
    return lambda view, _now: segment in listed.get(view.customer_id, ())


def _show(view: View, segment: UUID, *, is_in: bool) -> None:
    """To the segments that mention it; `load_each` makes the sets for these views alone."""
    known = cast("set[UUID]", view.segments)
    known.add(segment) if is_in else known.discard(segment)


def _is_calm(customer: Customer, now: datetime) -> bool:
    plan, timer = customer.plan, customer.timer
    return not plan.timed and timer is not None and still(customer.view.events, plan.rolling, now, timer)
