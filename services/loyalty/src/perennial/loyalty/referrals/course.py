"""The course of a referral: which order of a friend counts, by whose code, and what follows from all that is known."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from perennial.loyalty.memberships.definition import LAST_YEAR
from perennial.loyalty.referrals.definition import Referral as Rules

State = Literal["pending", "held", "rewarded", "reversed", "rejected", "void"]
SELF = "self"
RulesAt = Callable[[datetime], Rules | None]


@dataclass(frozen=True)
class Touch:
    """A code that came with an event."""

    id: UUID
    via: UUID
    code: str
    kind: str
    at: datetime


@dataclass(frozen=True)
class Signal:
    """Something of a person's that another one may have too."""

    via: UUID
    kind: str
    digest: bytes
    at: datetime


@dataclass(frozen=True)
class Touched:
    """A touch with a code that somebody's identifier bears; `own` when it is the friend's."""

    id: UUID
    at: datetime
    code: str
    via: UUID
    own: bool


@dataclass(frozen=True)
class Order:
    """A friend's order, with what was given back of it and when; an amount of None is all of it."""

    id: UUID
    via: UUID
    at: datetime
    amount: Decimal
    refunds: tuple[tuple[datetime, Decimal | None], ...] = ()

    def left(self, until: datetime) -> Decimal:
        """What it is worth by what was given back until an instant."""
        back = [amount for at, amount in self.refunds if at <= until]
        if None in back:
            return Decimal(0)
        return max(Decimal(0), self.amount - sum((amount for amount in back if amount is not None), Decimal(0)))


@dataclass(frozen=True)
class Qualified:
    """The order that counts, and the touch that it is owed to."""

    order: Order
    touch: Touched
    rules: Rules


def qualify(touches: Sequence[Touched], orders: Sequence[Order], rules_at: RulesAt) -> Qualified | None:
    """The friend's first order over the amount, within the window of a touch that came before any order of theirs."""
    known = sorted((touch for touch in touches if not touch.own), key=lambda touch: (touch.at, touch.id))
    ordered = sorted(orders, key=lambda order: (order.at, order.id))
    for order in ordered:
        rules = rules_at(order.at)
        if rules is None or order.amount < rules.minimum or not order.amount or order.at.year > LAST_YEAR:
            continue
        since = order.at - timedelta(days=rules.window_days)
        fits = [touch for touch in known if since <= touch.at <= min(order.at, ordered[0].at)]
        if fits:
            return Qualified(order, fits[0] if rules.touch == "first" else fits[-1], rules)
    return None


def came_to_nothing(order: Order | None, due_at: datetime, minimum: Decimal) -> bool:
    """Whether so much went back within the return window that the order would not have counted."""
    if order is None:
        return False
    left = order.left(due_at)
    return not left or left < minimum


def judge(
    *, refunded: bool, counts: bool, reasons: Collection[str], decision: str | None, matured: bool, booked: bool,
    once: bool,
) -> State:  # fmt: skip
    """What a referral comes to. `counts`: its order is the one that does; `once`: it has been rewarded before."""
    if refunded:
        return "reversed" if booked or once else "void"
    if not counts and not booked and not once and SELF not in reasons:
        return "void"
    if decision == "rejected":
        return "rejected"
    if decision != "approved" and (SELF in reasons or (reasons and not booked)):
        return "held"
    return "rewarded" if matured else "pending"
