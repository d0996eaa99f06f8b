"""The course of a membership: what follows from all that was heard of it, whatever the sequence in which it came."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Literal
from uuid import UUID

from perennial.loyalty.memberships.definition import Plan, later
from perennial.loyalty.memberships.refunds import Quote, quote

What = Literal["paid", "trial", "failed", "cancelled", "refunded"]
Status = Literal["trial", "active", "grace", "lapsed", "cancelled", "refunded"]
MEMBER: frozenset[Status] = frozenset({"trial", "active", "grace"})
NOTHING = Decimal(0)
ANY = ""
"""The plan of what an order says as a whole."""

Key = tuple[str, str]
"""A payment's source, and its id there."""

PlanAt = Callable[[datetime], Plan | None]


@dataclass(frozen=True)
class Heard:
    """What one event says of a membership of one plan.

    `payment` is the payment's id at its `source`: a payment counts once, and so does a `refund` that has an id. A
    refund's `amount` is None when all of the payment goes back. `order_amount`: what the order was worth that the
    payment was a part of, or what goes back of that order. Of a cancellation, `immediate` says: now, and not at the
    end of what is paid.
    """

    id: UUID
    plan: str
    via: UUID
    at: datetime
    kind: What
    source: str
    payment: str
    money: str
    amount: Decimal | None = None
    order_amount: Decimal | None = None
    quantity: int = 1
    immediate: bool = False
    refund: str = ""

    @property
    def order(self) -> tuple[datetime, UUID]:
        """By the time of the event; ties by its id."""
        return self.at, self.id


@dataclass
class Payment:
    """What was paid for the time from `start` to `end`, and what of it was given back."""

    key: Key
    amount: Decimal
    order_amount: Decimal | None
    money: str
    start: datetime
    end: datetime
    quantity: int
    refunded: Decimal = NOTHING
    order_refunded: Decimal = NOTHING


@dataclass
class Run:
    """A membership from its beginning to its end. `until` is paid for, or tried; then comes the plan's grace."""

    since: datetime
    until: datetime
    anchor: datetime
    period: str
    grace: timedelta
    times: int = 0
    trial_until: datetime | None = None
    failed_at: datetime | None = None
    cancelled_at: datetime | None = None
    ended_at: datetime | None = None
    ended: Status = "cancelled"
    payments: list[Payment] = field(default_factory=list)

    @property
    def ends_at(self) -> datetime:
        """When the benefits end by all that is known."""
        if self.ended_at is not None:
            return self.ended_at
        return self.until if self.cancelled_at is not None else self.until + self.grace

    def status(self, now: datetime) -> Status:
        """How it stands."""
        if self.ended_at is not None:
            return self.ended
        if now < self.until:
            return "trial" if self.trial_until is not None and now < self.trial_until else "active"
        if self.cancelled_at is not None:
            return "cancelled"
        return "grace" if now < self.ends_at else "lapsed"

    def next_change(self, now: datetime) -> datetime | None:
        """When the clock alone changes how it stands; None: never again."""
        if self.ended_at is not None:
            return None
        moments = [self.trial_until, self.until, self.ends_at]
        return min((moment for moment in moments if moment is not None and moment > now), default=None)


@dataclass
class Course:
    """All runs of one customer's membership of one plan, the payments of all of them by their keys.

    `via` is who spoke of it last: what the clock changes waits for them. `ignored`: why events changed nothing.
    `coming`: the first event that bears a time to come, when and whose.
    """

    plan: str
    runs: list[Run] = field(default_factory=list)
    payments: dict[Key, Payment] = field(default_factory=dict)
    refund_due: Decimal = NOTHING
    money: str = ""
    via: UUID | None = None
    ignored: dict[UUID, str] = field(default_factory=dict)
    coming: tuple[datetime, UUID] | None = None

    @property
    def run(self) -> Run | None:
        """The latest run."""
        return self.runs[-1] if self.runs else None

    def covers(self, at: datetime) -> bool:
        """Whether the customer was a member at an instant."""
        return any(run.since <= at < run.ends_at for run in self.runs)


def follow(plan: str, heard: Iterable[Heard], plan_at: PlanAt, zone: tzinfo) -> Course:
    """The course that events tell of: the same for the same events, in whatever sequence and however often told."""
    course = Course(plan)
    early: set[Key] = set()  # given back before they were paid, by their own time
    for event in _once(heard):
        rules, course.via = plan_at(event.at), event.via
        if event.kind == "refunded":
            _refund(course, event, early, zone)
        elif rules is None:
            course.ignored[event.id] = "the programme had no such plan then"
        elif event.kind == "paid":
            _pay(course, event, rules, early, zone)
        else:
            _REST[event.kind](course, event, rules, zone)
    return course


def _once(heard: Iterable[Heard]) -> Iterable[Heard]:
    """In the order of time; a payment counts once, by its earliest event, and so does a refund that has an id."""
    seen: set[tuple[str, str, str, str]] = set()
    for event in sorted(heard, key=lambda item: item.order):
        key = (event.kind, event.source, event.payment, event.refund)
        if key in seen and (event.kind == "paid" or event.refund):
            continue
        seen.add(key)
        yield event


def _running(course: Course, at: datetime) -> Run | None:
    run = course.run
    return run if run is not None and at < run.ends_at else None


def _pay(course: Course, event: Heard, rules: Plan, early: set[Key], zone: tzinfo) -> None:
    key = (event.source, event.payment)
    if key in early:
        course.ignored[event.id] = "it was given back before"
        return
    run, grace = _running(course, event.at), timedelta(days=rules.grace_days)
    if run is None:
        run = Run(event.at, event.at, event.at, rules.period, grace)
        course.runs.append(run)
    elif run.period != rules.period or not run.times:
        run.anchor, run.times, run.period = run.until, 0, rules.period
    start = run.until
    run.times += event.quantity
    run.until = later(run.anchor, run.period, run.times, zone)
    run.grace, run.failed_at, run.cancelled_at = grace, None, None
    amount = rules.price * event.quantity if event.amount is None else event.amount
    paid = Payment(key, amount, event.order_amount, event.money, start, run.until, event.quantity)
    run.payments.append(paid)
    course.payments[key], course.money = paid, event.money


def _try(course: Course, event: Heard, rules: Plan, zone: tzinfo) -> None:
    if rules.trial is None or course.runs:
        course.ignored[event.id] = "the plan has no trial" if rules.trial is None else "a trial comes first, and once"
        return
    ends = later(event.at, rules.trial, 1, zone)
    grace = timedelta(days=rules.grace_days)
    course.runs.append(Run(event.at, ends, ends, rules.period, grace, trial_until=ends))
    course.money = course.money or rules.currency


def _fail(course: Course, event: Heard, _: Plan, __: tzinfo) -> None:
    run = _running(course, event.at)
    if run is None:
        course.ignored[event.id] = "there was no membership then"
    else:
        run.failed_at = event.at


def _cancel(course: Course, event: Heard, rules: Plan, zone: tzinfo) -> None:
    """At once, with the days that are left due back; or when it is paid to, in grace that is now."""
    run = _running(course, event.at)
    if run is None:
        course.ignored[event.id] = "there was no membership then"
    elif not event.immediate and event.at < run.until:
        run.cancelled_at = event.at
    else:
        run.cancelled_at = run.ended_at = event.at
        if rules.refund == "pro_rata":
            course.refund_due += sum((item.amount for item in due(run, event.at, zone)), NOTHING)


def _refund(course: Course, event: Heard, early: set[Key], zone: tzinfo) -> None:
    """Money goes back: of a part it is noted; of the whole, the time that it paid for is given up from then on."""
    key = (event.source, event.payment)
    paid = course.payments.get(key) if event.payment else _latest(course)
    if paid is None:
        if event.amount is None:
            early.add(key)
        course.ignored[event.id] = "there was no such payment then"
        return
    back = _back(paid, event)
    paid.refunded += back
    course.refund_due = max(NOTHING, course.refund_due - back)
    run = next(run for run in course.runs if any(one is paid for one in run.payments))
    if paid.refunded < paid.amount or run.ended_at is not None or paid.end <= event.at or not paid.quantity:
        return
    run.times -= paid.quantity
    paid.quantity = 0
    run.until = later(run.anchor, run.period, max(0, run.times), zone)
    if run.until <= event.at:
        run.ended_at, run.ended = event.at, "refunded"


def _back(paid: Payment, event: Heard) -> Decimal:
    """How much of a payment a refund gives back. Of an order that it was a part of, nothing until all goes back."""
    left = paid.amount - paid.refunded
    if event.amount is None:
        return left
    if event.order_amount is None:
        return min(event.amount, left)
    paid.order_refunded += event.order_amount
    return left if paid.order_refunded >= (paid.order_amount or paid.amount) else NOTHING


def _latest(course: Course) -> Payment | None:
    return course.run.payments[-1] if course.run and course.run.payments else None


def due(run: Run, at: datetime, zone: tzinfo) -> list[Quote]:
    """What of each payment would go back if the membership ended at an instant."""
    return [
        replace(made, amount=max(NOTHING, made.amount - paid.refunded))
        for paid in run.payments
        if paid.end > at and paid.quantity
        for made in [quote(paid.amount, paid.money, paid.start, paid.end, at, zone)]
    ]


_REST = {"trial": _try, "failed": _fail, "cancelled": _cancel}
