"""Conditions on one value, in memory, and the instants at which the clock can change their answer."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil, floor
from operator import eq, ge, gt, le, lt
from typing import cast

from perennial.common.rules.calendar.birthdays import birthday_changes, birthday_check
from perennial.common.rules.calendar.windows import Calendar, calendar_changes, calendar_check
from perennial.common.rules.calendar.zones import FIRST_YEAR, LAST_YEAR
from perennial.common.rules.grammar.criteria import Beside, Bounds, Condition, Element, When
from perennial.common.rules.values.finders import finder
from perennial.common.rules.values.literals import Moment, Scalar
from perennial.common.rules.values.paths import parse_path, reader
from perennial.common.rules.values.places import near_check
from perennial.common.rules.values.scalars import EXACT, LIMIT, instant, number, text

Check = Callable[[object, datetime], bool]
Changes = Callable[[object, datetime], Iterator[datetime]]
Timed = Moment | Calendar

# The negative of an operator is its exact opposite: it holds where the value is absent.
OPPOSITES = {"is_not": "is", "not_in": "in", "not_contains": "contains"}
COMPARE: dict[str, Callable[[Decimal | int, Decimal], bool]] = {
    "eq": eq,
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
}


# These are asked on the customer's calendar: the zone of the moment that they are given says whose day it is.
ON_CALENDAR = frozenset({"within", "birthday_within"})


def on_calendar(part: Condition | Element | When | Beside) -> bool:
    """Whether the answer depends on the customer's time zone."""
    if isinstance(part, Element | Beside):
        return any(on_calendar(item) for item in part.where)
    return part.operator in ON_CALENDAR


def affirmative(condition: Condition) -> tuple[str, object, bool]:
    """The operator without negation, its operand, and whether the whole is negated."""
    operator, operand = condition.operator, condition.operand
    if operator == "exists":
        return operator, True, operand is False
    return OPPOSITES.get(operator, operator), operand, operator in OPPOSITES


def check(operator: str, operand: object) -> Check:
    """A function that says whether a value that is not null satisfies an affirmative operator now."""
    if operator in COMPARE:
        return _compares(operator, cast("Decimal", operand))
    if operator in _TIMES:
        return time_check(operator, cast("Timed", operand))
    return _BUILDERS[operator](operand)


def time_check(operator: str, operand: Timed) -> Check:
    """`before` and `after` split time in two; `within_last` is after that long ago and not in the future."""
    if isinstance(operand, Calendar):
        return calendar_check(operand)
    test = _TIMES[operator](operand)

    def holds(value: object, now: datetime) -> bool:
        found = instant(value)
        return found is not None and test(found, now)

    return holds


def changes(condition: Condition | Element | When) -> Changes | None:
    """The instants at which a value's answer can change by the clock alone, past ones too; None: never.

    Of an element's conditions the answers about one element.
    """
    if isinstance(condition, Element):
        return _element_changes(condition)
    operator, operand = condition.operator, condition.operand
    if isinstance(operand, Calendar):
        return calendar_changes(operand)
    if operator == "birthday_within":
        return birthday_changes(cast("int", operand))
    if operator not in _TIMES or not isinstance(operand, timedelta):
        return None

    def instants(value: object, _now: datetime) -> Iterator[datetime]:
        if (found := instant(value)) is not None and FIRST_YEAR <= found.year <= LAST_YEAR:
            yield from (found - operand, found, found + operand)

    return instants


def _element_changes(element: Element) -> Changes | None:
    dated = [(reader(parse_path(item.property)), on) for item in element.where if (on := changes(item))]
    if not dated:
        return None

    def instants(value: object, now: datetime) -> Iterator[datetime]:
        for read, on in dated:
            for found in read(value):
                yield from on(found, now)

    return instants


def bounds(limits: Bounds) -> Callable[[Decimal | int, int], bool]:
    """Whether `total` compares as wanted with `limit * share`, exactly: an average without a division."""
    given = [(COMPARE[name], limit) for name in COMPARE if (limit := getattr(limits, name)) is not None]
    if len(given) == 1:
        [(only, edge)] = given

        def hold_one(total: Decimal | int, share: int = 1) -> bool:
            return only(total, edge if share == 1 else EXACT.multiply(edge, share))

        return hold_one

    def hold(total: Decimal | int, share: int = 1) -> bool:
        return all(compare(total, limit if share == 1 else EXACT.multiply(limit, share)) for compare, limit in given)

    return hold


def passes(limits: Bounds) -> list[int]:
    """The counts that answer otherwise than one less does, without 0."""
    found: set[int] = set()
    for name in COMPARE:
        limit = getattr(limits, name)
        if limit is not None and abs(limit) < LIMIT:
            up, over = ceil(limit), floor(limit) + 1
            found |= {"eq": {up, over}, "gt": {over}, "gte": {up}, "lt": {up}, "lte": {over}}[name]
    return sorted(count for count in found if count > 0)


def _compares(operator: str, limit: Decimal) -> Check:
    compare = COMPARE[operator]

    def holds(value: object, _now: datetime) -> bool:
        found = number(value)
        return found is not None and compare(found, limit)

    return holds


def _between(limits: tuple[Decimal, Decimal] | tuple[datetime, datetime]) -> Check:
    """Numbers with both limits, times from the first until the second."""
    first, last = limits
    if isinstance(first, datetime) and isinstance(last, datetime):
        return lambda value, _now: (found := instant(value)) is not None and first <= found < last
    least, most = cast("tuple[Decimal, Decimal]", limits)
    return lambda value, _now: (found := number(value)) is not None and least <= found <= most


def _is(wanted: Scalar) -> Check:
    if isinstance(wanted, Decimal):
        return lambda value, _now: number(value) == wanted
    spelled = text(wanted)
    return lambda value, _now: text(value) == spelled


def _in(wanted: Sequence[Scalar]) -> Check:
    numbers = frozenset(item for item in wanted if isinstance(item, Decimal))
    texts = frozenset(text(item) for item in wanted if not isinstance(item, Decimal))
    return lambda value, _now: (bool(texts) and text(value) in texts) or (bool(numbers) and number(value) in numbers)


def _contains(wanted: Scalar) -> Check:
    is_it = _is(wanted)

    def holds(value: object, now: datetime) -> bool:
        if isinstance(value, list | tuple):
            return any(is_it(item, now) for item in value)
        found = text(value)
        return isinstance(wanted, str) and found is not None and wanted in found

    return holds


def _text_check(test: Callable[[str], bool]) -> Check:
    def holds(value: object, _now: datetime) -> bool:
        found = text(value)
        return found is not None and test(found)

    return holds


def _matches(pattern: str) -> Check:
    """Piece after piece from the left: time grows with text times pattern, whatever the pattern."""
    pieces = [re.compile(re.escape(piece).replace(r"\?", "."), re.DOTALL) for piece in pattern.split("*")]
    first, *middle, last = pieces if len(pieces) > 1 else (pieces[0], None)

    def test(found: str) -> bool:
        if last is None:
            return first.fullmatch(found) is not None
        if not (start := first.match(found)):
            return False
        position = start.end()
        for piece in middle:
            if not (hit := piece.search(found, position)):
                return False
            position = hit.end()
        end = len(found) - len(pattern.rpartition("*")[2])
        return end >= position and last.fullmatch(found, end) is not None

    return _text_check(test)


_BUILDERS: dict[str, Callable[..., Check]] = {
    "is": _is,
    "in": _in,
    "contains": _contains,
    "starts_with": lambda wanted: _text_check(lambda found: found.startswith(wanted)),
    "ends_with": lambda wanted: _text_check(lambda found: found.endswith(wanted)),
    "matches": _matches,
    "regex": lambda wanted: _text_check(finder(wanted)),
    "between": _between,
    "within": calendar_check,
    "birthday_within": birthday_check,
    "near": near_check,
    "exists": lambda _wanted: lambda value, _now: value is not None,
}


def _before(moment: Moment) -> Callable[[datetime, datetime], bool]:
    if isinstance(moment, timedelta):
        return lambda at, now: at <= now - moment
    return lambda at, _now: at < moment


def _after(moment: Moment) -> Callable[[datetime, datetime], bool]:
    earlier = _before(moment)
    return lambda at, now: not earlier(at, now)


_TIMES: dict[str, Callable[..., Callable[[datetime, datetime], bool]]] = {
    "before": _before,
    "after": _after,
    "within_last": lambda span: lambda at, now: now - span < at <= now,
    "within_next": lambda span: lambda at, now: now < at <= now + span,
}
