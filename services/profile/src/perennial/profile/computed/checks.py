"""What a definition must be; every refusal says where."""

import zoneinfo
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from perennial.common import commerce, masks, rules
from perennial.common.auth import Principal
from perennial.common.problems import Unprocessable
from perennial.common.rules import RuleError
from perennial.common.rules.evaluation.conditions import changes
from perennial.common.rules.grammar.criteria import Element
from perennial.common.rules.grammar.nodes import OnEvent
from perennial.common.rules.values.durations import parse_duration
from perennial.common.rules.values.paths import parse_path
from perennial.profile.computed.spec import (
    CLOCKED,
    NUMBERS,
    ORDER_MONEY,
    ORDER_PROPERTIES,
    SPANS,
    TEXTS,
    UNITS,
    WORDS,
    Spec,
)

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
NAMED = frozenset({"$source", "$name", "$type"})
RESERVED = frozenset({"tags", "stage"})
NOBODY = Principal("staff", "nobody", frozenset())


def refuse(pointer: str, why: str) -> Unprocessable:
    """What to raise for a definition that cannot be."""
    return Unprocessable(f"{pointer.strip('/')}: {why}", code="invalid_computed_trait", pointer=pointer)


def checked(who: Principal, key: str, spec: Spec) -> Spec:
    """The spec as it is stored. Raises Unprocessable, and Forbidden for conditions on what is masked for them."""
    if key in RESERVED:
        raise refuse("/key", "is a trait of its own")
    spec = spec.model_copy(update={"events": sorted({commerce.canonical(name) for name in spec.events})})
    _check_source(spec)
    _check_property(spec)
    _check_window(spec)
    _check_gap(spec)
    where, having = conditions(who, spec.where, "where"), conditions(who, spec.having, "having")
    if (spec.function == "share") != bool(having):
        raise refuse("/having", "goes with share" if having else "is missing: which share?")
    if spec.source == "orders":
        _check_orders(spec, where, having)
    return spec.model_copy(update={"where": where, "having": having, "money": _money(spec)})


def conditions(who: Principal, given: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Property conditions in one spelling."""
    if not given:
        return []
    try:
        rule = rules.parse({"event": "any", "where": list(given)})
    except RuleError as error:
        pointer = f"/{name}{error.pointer.removeprefix('/where')}"
        raise refuse(pointer, error.message) from error
    assert isinstance(rule, OnEvent)  # noqa: S101 (parse says so)
    for place, item in enumerate(rule.where):
        if isinstance(item, Element):
            raise refuse(f"/{name}/{place}", "must compare a property; elements of a list are not counted up")
        if changes(item) is not None:
            raise refuse(f"/{name}/{place}", "depends on the clock, so it cannot be counted up; use the window")
        if item.property.startswith("$") and item.property not in NAMED:
            raise refuse(f"/{name}/{place}/property", f"only {', '.join(sorted(NAMED))} can be compared")
    masks.check_rule(who, rule, pointer="")
    found = rules.dump(rule)["where"]
    assert isinstance(found, list)  # noqa: S101
    return found


def _check_source(spec: Spec) -> None:
    if spec.source == "events" and not (spec.events or spec.types):
        raise refuse("/events", "must name an event, unless types do")
    if not all(spec.events):
        raise refuse("/events", "must be names")
    if spec.source == "orders":
        for name in ("events", "types"):
            if getattr(spec, name):
                raise refuse(f"/{name}", "does not go with orders")
        if spec.function in SPANS:
            raise refuse("/function", "needs events, not orders")


def _check_property(spec: Spec) -> None:
    takes = spec.function in NUMBERS | WORDS
    if takes and spec.property is None:
        raise refuse("/property", f"is missing: {spec.function} of what?")
    if spec.property is None:
        return
    if not takes and spec.function not in {"first", "last"}:
        raise refuse("/property", f"does not go with {spec.function}")
    try:
        parse_path(spec.property)
    except ValueError as error:
        raise refuse("/property", str(error)) from error
    if spec.property.startswith("$") and spec.property not in CLOCKED | NAMED:
        raise refuse("/property", f"must be one of {', '.join(sorted(CLOCKED | NAMED))}, or a path")
    if spec.sensitivity == "public" and is_personal(spec):
        raise refuse("/sensitivity", "the property speaks of a person")


def is_personal(spec: Spec) -> bool:
    """Whether the property's name says that it speaks of a person."""
    names = [step.name for step in parse_path(spec.property or "none") if step.name]
    return not all(masks.sees_property(NOBODY, name) for name in names)


def sensitivity_of(spec: Spec) -> masks.Sensitivity:
    """Figures are public; what was read from events is personal until it is declared otherwise."""
    if spec.sensitivity is not None:
        return spec.sensitivity
    if spec.source != "events" or spec.property is None or spec.function == "unique_count":
        return "public"
    return "personal" if spec.function in TEXTS or is_personal(spec) else "public"


def _money(spec: Spec) -> bool:
    if spec.function not in NUMBERS:
        if spec.money:
            raise refuse("/money", f"does not go with {spec.function}")
        return False
    return spec.money or (spec.source == "orders" and spec.property in ORDER_MONEY)


def _check_orders(spec: Spec, *compared: Sequence[dict[str, Any]]) -> None:
    known = ", ".join(sorted(ORDER_PROPERTIES))
    if spec.property is not None and spec.property not in ORDER_PROPERTIES | CLOCKED:
        raise refuse("/property", f"orders have {known}, $hour and $weekday")
    for name, items in zip(("where", "having"), compared, strict=True):
        for place, item in enumerate(items):
            if item["property"] not in ORDER_PROPERTIES:
                raise refuse(f"/{name}/{place}/property", f"orders have {known}")


def _check_window(spec: Spec) -> None:
    if spec.timezone is not None:
        try:
            zoneinfo.ZoneInfo(spec.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise refuse("/timezone", f"there is no zone {spec.timezone!r}") from error
    if spec.window is None or spec.window in UNITS:
        return
    try:
        span = parse_duration(spec.window)
    except ValueError as error:
        raise refuse("/window", f"{error}, or one of {', '.join(sorted(UNITS))}") from error
    if span < HOUR or span % HOUR:
        raise refuse("/window", "must be whole hours, at least one")


def _check_gap(spec: Spec) -> None:
    try:
        gap = parse_duration(spec.gap)
    except ValueError as error:
        raise refuse("/gap", str(error)) from error
    if not MINUTE <= gap <= DAY:
        raise refuse("/gap", "must be from PT1M to P1D")
    if spec.function not in SPANS and spec.gap != "PT30M":
        raise refuse("/gap", f"does not go with {spec.function}")
