"""Events in memory: which occurrences count for a rule, and what they measure."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import attrgetter
from typing import cast

from perennial.common.rules.conditions import affirmative, bounds, check, time_check
from perennial.common.rules.criteria import Amount, Bounds, Condition, When
from perennial.common.rules.literals import Moment
from perennial.common.rules.nodes import OnEvent
from perennial.common.rules.paths import Step, parse_path, reader
from perennial.common.rules.values import EXACT, number
from perennial.common.rules.view import Occurrence, View

Found = Sequence[Occurrence]
Occurred = Callable[[View, datetime], Found]
Measure = Callable[[Found, datetime], bool]

_at = attrgetter("at")


def occurred(rule: OnEvent) -> Occurred:
    """The occurrences that count: in `now - within < at <= now`, with the properties wanted."""
    name, within = rule.event, rule.within
    wanted = [matching(item, parse_path(item.property)) for item in rule.where]

    def find(view: View, now: datetime) -> Found:
        found = view.events.get(name)
        if not found:
            return ()
        stop = bisect_right(found, now, key=_at)
        start = bisect_right(found, now - within, hi=stop, key=_at) if within else 0
        found = found[start:stop]
        for match in wanted:
            found = [item for item in found if match(item.properties, now)]
        return found

    return find


def matching(condition: Condition, steps: Sequence[Step]) -> Callable[[Mapping[str, object], datetime], bool]:
    """Whether any value at the path satisfies the condition; a negative one: whether none does its opposite."""
    operator, operand, negated = affirmative(condition)
    read, test = reader(steps), check(operator, operand)

    def match(root: Mapping[str, object], now: datetime) -> bool:
        for value in read(root):
            if test(value, now):
                return not negated
        return negated

    return match


def measure(rule: OnEvent) -> Measure:
    """Whether the occurrences found measure up. A sum of nothing is 0; nothing has no average, least, first."""
    name, wanted = rule.measure
    return _BUILDERS[name](wanted)


def measured(rule: OnEvent, found: Found) -> object:
    """The measure's value, for an explanation: a count, an amount or a time."""
    name, wanted = rule.measure
    if name == "count":
        return len(found)
    if isinstance(wanted, When):
        return found[0 if name == "first" else -1].at if found else None
    values = amounts(cast("Amount", wanted))(found)
    if name == "sum":
        return _sum(values)
    if not values:
        return None
    return _sum(values) / len(values) if name == "average" else min(values) if name == "min" else max(values)


def amounts(wanted: Amount) -> Callable[[Found], list[Decimal]]:
    """The numbers at the property's path over all occurrences; what is no number is left out."""
    read = reader(parse_path(wanted.property))

    def numbers(found: Found) -> list[Decimal]:
        values = (number(value) for item in found for value in read(item.properties))
        return [value for value in values if value is not None]

    return numbers


def _sum(values: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, values, Decimal())


def _count(wanted: Bounds) -> Measure:
    hold = bounds(wanted)
    return lambda found, _now: hold(cast("Decimal", len(found)), 1)


def _total(wanted: Amount) -> Measure:
    hold, numbers = bounds(wanted), amounts(wanted)
    return lambda found, _now: hold(_sum(numbers(found)), 1)


def _average(wanted: Amount) -> Measure:
    hold, numbers = bounds(wanted), amounts(wanted)

    def holds(found: Found, _now: datetime) -> bool:
        values = numbers(found)
        return bool(values) and hold(_sum(values), len(values))

    return holds


def _extreme(choose: Callable[[list[Decimal]], Decimal]) -> Callable[[Amount], Measure]:
    def build(wanted: Amount) -> Measure:
        hold, numbers = bounds(wanted), amounts(wanted)

        def holds(found: Found, _now: datetime) -> bool:
            values = numbers(found)
            return bool(values) and hold(choose(values), 1)

        return holds

    return build


def _time(position: int) -> Callable[[When], Measure]:
    def build(wanted: When) -> Measure:
        test = time_check(wanted.operator, cast("Moment", wanted.operand))
        return lambda found, now: bool(found) and test(found[position].at, now)

    return build


_BUILDERS: dict[str, Callable[..., Measure]] = {
    "count": _count,
    "sum": _total,
    "average": _average,
    "min": _extreme(min),
    "max": _extreme(max),
    "first": _time(0),
    "last": _time(-1),
}
