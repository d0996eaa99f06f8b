"""A rule as closures: built once, asked millions of times."""

from collections.abc import Callable
from datetime import datetime, tzinfo
from decimal import Decimal
from hashlib import sha256
from typing import assert_never, cast
from uuid import UUID

from perennial.common.rules.calendar.zones import deployment_zone, localiser
from perennial.common.rules.evaluation.conditions import bounds, on_calendar
from perennial.common.rules.evaluation.counting import counted
from perennial.common.rules.evaluation.events import matching, measure, occurred, sums
from perennial.common.rules.evaluation.memory import remembered, shared
from perennial.common.rules.evaluation.sequences import happens
from perennial.common.rules.grammar.criteria import Amount, Bounds, When
from perennial.common.rules.grammar.nodes import (
    AllOf,
    AnyOf,
    Everyone,
    InBucket,
    InSegment,
    Not,
    OnElement,
    OnEvent,
    OnSequence,
    OnTrait,
    Rule,
)
from perennial.common.rules.values.paths import Step, trait_path
from perennial.common.rules.view import View

Predicate = Callable[[View, datetime], bool]
_NOTHING = (Decimal(),)


def compile_rule(rule: Rule, zone: tzinfo | None = None) -> Predicate:  # noqa: PLR0911 (one return per kind of node)
    """A function of a view and a moment of fixed offset, which says whether the rule holds.

    `zone` is whose calendar counts for customers who have none of their own; None: the deployment's.
    """
    match rule:
        case AllOf():
            return _all([compile_rule(inner, zone) for inner in rule.rules])
        case AnyOf():
            return _any([compile_rule(inner, zone) for inner in rule.rules])
        case Not():
            inner = compile_rule(rule.rule, zone)
            return lambda view, now: not inner(view, now)
        case OnTrait() | OnElement() | OnEvent() | OnSequence():
            return _shared(rule, zone)
        case InSegment():
            segment = rule.segment
            return lambda view, _now: segment in view.segments
        case InBucket():
            salt, hold = rule.bucket.salt, bounds(rule.bucket)
            return lambda view, _now: hold(Decimal(bucket(view.customer_id, salt)), 1)
        case Everyone():
            return lambda _view, _now: True
    assert_never(rule)


def bucket(customer_id: UUID, salt: str) -> int:
    """A number from 0 to 99, the same for ever for a customer and a salt; salts are independent."""
    return int(sha256(f"{salt}:{customer_id}".encode()).hexdigest()[:8], 16) % 100


def _all(checks: list[Predicate]) -> Predicate:
    def holds(view: View, now: datetime) -> bool:
        for check in checks:  # noqa: SIM110 (a generator costs as much again)
            if not check(view, now):
                return False
        return True

    return holds


def _any(checks: list[Predicate]) -> Predicate:
    def holds(view: View, now: datetime) -> bool:
        for check in checks:  # noqa: SIM110 (see above)
            if check(view, now):
                return True
        return False

    return holds


def _shared(rule: OnTrait | OnElement | OnEvent | OnSequence, zone: tzinfo | None) -> Predicate:
    """A leaf that is the same in several rules is one, and a view with a memo asks it once, if to ask is no quicker."""
    key = (type(rule).__name__, rule.model_dump_json(by_alias=True, exclude_none=True), str(zone or deployment_zone()))

    def leaf() -> Predicate:
        quick = counted(rule) if isinstance(rule, OnEvent) else None
        return quick or remembered(_leaf(rule, zone))

    return shared(key, leaf)


def _leaf(rule: OnTrait | OnElement | OnEvent | OnSequence, zone: tzinfo | None) -> Predicate:
    match rule:
        case OnEvent():
            return _event(rule, zone)
        case OnSequence():
            return happens(rule, zone)
        case _:
            return _trait(rule, zone)


def _trait(rule: OnTrait | OnElement, zone: tzinfo | None) -> Predicate:
    key, (head, *rest) = trait_path(rule.trait if isinstance(rule, OnTrait) else rule.property)
    match = matching(rule, (Step(key, head.each), *rest))
    if not on_calendar(rule):
        return lambda view, now: match(view.traits, now)
    localise = localiser(zone)
    return lambda view, now: match(view.traits, localise(view, now))


def _event(rule: OnEvent, zone: tzinfo | None) -> Predicate:
    name, wanted = rule.measure
    if name == "sum" and not rule.beside:
        added, hold = sums(rule, cast("Amount", wanted), zone), bounds(cast("Bounds", wanted))
        return lambda view, now: hold((added(view, now) or _NOTHING)[-1], 1)
    find, measures = occurred(rule, zone), measure(rule)
    if not isinstance(wanted, When) or not on_calendar(wanted):
        return lambda view, now: measures(find(view, now), now)
    localise = localiser(zone)
    return lambda view, now: measures(find(view, now), localise(view, now))
