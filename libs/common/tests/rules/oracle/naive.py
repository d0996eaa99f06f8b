"""The words of the language's README one by one, sharing no code with the evaluators."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.tests.rules.oracle.values import (
    as_number,
    as_span,
    as_text,
    at_path,
    bounded,
    calendar,
    elements,
    satisfies,
    snake,
    timely,
)
from perennial.common.rules import Occurrence, View


def naive(rule: dict[str, Any], view: View, now: datetime, zone: str = "UTC") -> bool:
    said = (view.traits.get("timezone"), view.traits.get("time_zone"))
    own = next((str(name) for name in said if _is_zone(name)), zone)
    return _holds(rule, view, now.astimezone(ZoneInfo(own)))


def _is_zone(said: Any) -> bool:
    try:
        return isinstance(said, str) and bool(said) and said not in {"Factory", "localtime"} and bool(ZoneInfo(said))
    except (KeyError, ValueError, OSError):
        return False


def _holds(rule: dict[str, Any], view: View, now: datetime) -> bool:
    """`now` is in the customer's zone; what is reckoned in seconds is reckoned in UTC."""
    return next((reading(rule, view, now) for name, reading in _READINGS.items() if name in rule), True)


def _is_in_bucket(rule: dict[str, Any], view: View, _now: datetime) -> bool:
    digest = hashlib.sha256(f"{rule['random']['salt']}:{view.customer_id}".encode()).digest()
    return bounded(rule["random"], Fraction(int.from_bytes(digest[:4]) % 100))


def _is_tagged(rule: dict[str, Any], view: View, _now: datetime) -> bool:
    return any(as_text(tag) == rule["tag"] for tag in at_path(view.traits, "tags[]"))


_READINGS: dict[str, Callable[[dict[str, Any], View, datetime], bool]] = {
    "all": lambda rule, view, now: all(_holds(part, view, now) for part in rule["all"]),
    "any": lambda rule, view, now: any(_holds(part, view, now) for part in rule["any"]),
    "not": lambda rule, view, now: not _holds(rule["not"], view, now),
    "tag": _is_tagged,
    "stage": lambda rule, view, _now: as_text(view.traits.get("stage")) == rule["stage"],
    "trait": lambda rule, view, now: satisfies(rule, at_path(view.traits, snake(rule["trait"])), now),
    "any_of": lambda rule, view, now: elements(rule, view.traits, now),
    "none_of": lambda rule, view, now: elements(rule, view.traits, now),
    "event": lambda *asked: _measures_up(*asked),  # noqa: PLW0108 (it comes below)
    "sequence": lambda rule, view, now: _goes_on(rule, rule["sequence"], view, now, []),
    "segment": lambda rule, view, _now: UUID(rule["segment"]) in view.segments,
    "random": _is_in_bucket,
}


def _happened(rule: dict[str, Any], view: View, now: datetime) -> list[Occurrence]:
    return [
        item for item in view.events.get(rule["event"], ())
        if item.at <= now and all(
            elements(test, item.properties, now) if "where" in test
            else satisfies(test, at_path(item.properties, test["property"]), now)
            for test in rule.get("where", [])
        )
    ]  # fmt: skip


def _in_window(rule: dict[str, Any], at: datetime, now: datetime) -> bool:
    window = rule.get("within")
    return window is None or (calendar(window, at, now) if isinstance(window, dict)
                              else timely("within_last", window, at, now))  # fmt: skip


def _beside(rule: dict[str, Any], item: Occurrence, view: View, now: datetime) -> bool:
    for name in ("followed_by", "not_followed_by", "preceded_by", "not_preceded_by"):
        if other := rule.get(name):
            span, follows = as_span(other["within"]), name.endswith("followed_by")
            gaps = [(found.at - item.at) * (1 if follows else -1) for found in _happened(other, view, now)]
            if any(timedelta() < gap <= span for gap in gaps) is name.startswith("not"):
                return False
            if name == "not_followed_by" and now < item.at + span:
                return False
    return True


def _goes_on(rule: dict[str, Any], steps: list[Any], view: View, now: datetime, made: list[datetime]) -> bool:
    """Every way to go through the steps, one by one."""
    if not steps:
        return "span" not in rule or made[-1] - made[0] <= as_span(rule["span"])
    for item in _happened(steps[0], view, now):
        if not _in_window(rule, item.at, now) or (made and item.at <= made[-1]):
            continue
        if made and "within" in steps[0] and item.at - made[-1] > as_span(steps[0]["within"]):
            continue
        if _goes_on(rule, steps[1:], view, now, [*made, item.at]):
            return True
    return False


def _measures_up(rule: dict[str, Any], view: View, now: datetime) -> bool:
    found = [
        item for item in _happened(rule, view, now)
        if _in_window(rule, item.at, now) and _beside(rule, item, view, now)
    ]  # fmt: skip
    for name, extreme in (("first", min), ("last", max)):
        if name in rule:
            ((how, operand),) = rule[name].items()
            at = extreme((item.at for item in found), default=None)
            if at is None:
                return False
            return calendar(operand, at, now) if how == "within" else timely(how, operand, at, now)
    if "distinct" in rule:
        said = {as_text(value) for item in found for value in at_path(item.properties, rule["distinct"]["property"])}
        return bounded(rule["distinct"], Fraction(len(said - {None})))
    for name in ("sum", "average", "min", "max"):
        if name in rule:
            values = [as_number(value) for item in found for value in at_path(item.properties, rule[name]["property"])]
            return _amount(name, rule[name], [value for value in values if value is not None])
    return bounded(rule.get("count", {"gte": 1}), Fraction(len(found)))


def _amount(name: str, limits: dict[str, Any], numbers: list[Fraction]) -> bool:
    if name == "sum":
        return bounded(limits, sum(numbers, Fraction()))
    if not numbers:
        return False
    value = (
        sum(numbers, Fraction()) / len(numbers)
        if name == "average"
        else min(numbers)
        if name == "min"
        else max(numbers)
    )
    return bounded(limits, value)
