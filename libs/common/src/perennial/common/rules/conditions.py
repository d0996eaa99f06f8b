"""Conditions on one value, in memory, and the instants at which the clock can change their answer."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from perennial.common.rules.criteria import Bounds, Condition, When
from perennial.common.rules.literals import Moment, Scalar
from perennial.common.rules.values import EXACT, instant, number, text

Check = Callable[[object, datetime], bool]
Changes = Callable[[object], Iterator[datetime]]

# The negative of an operator is its exact opposite: it holds where the value is absent.
OPPOSITES = {"is_not": "is", "not_in": "in", "not_contains": "contains"}
COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "eq": lambda a, b: a == b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


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
        return time_check(operator, cast("Moment", operand))
    return _BUILDERS[operator](operand)


def time_check(operator: str, operand: Moment) -> Check:
    """`before` and `after` split time in two; `within_last` is after that long ago and not in the future."""
    test = _TIMES[operator](operand)

    def holds(value: object, now: datetime) -> bool:
        found = instant(value)
        return found is not None and test(found, now)

    return holds


def changes(condition: Condition | When) -> Changes | None:
    """The instants at which a value's answer can change by the clock alone, past ones too; None: never."""
    operand = condition.operand
    if condition.operator not in _TIMES or not isinstance(operand, timedelta):
        return None

    def instants(value: object) -> Iterator[datetime]:
        if (found := instant(value)) is not None:
            yield from (found - operand, found, found + operand)

    return instants


def bounds(limits: Bounds) -> Callable[[Decimal, int], bool]:
    """Whether `total` compares as wanted with `limit * share`, exactly: an average without a division."""
    given = [(COMPARE[name], limit) for name in COMPARE if (limit := getattr(limits, name)) is not None]

    def hold(total: Decimal, share: int = 1) -> bool:
        return all(compare(total, limit if share == 1 else EXACT.multiply(limit, share)) for compare, limit in given)

    return hold


def _compares(operator: str, limit: Decimal) -> Check:
    compare = COMPARE[operator]

    def holds(value: object, _now: datetime) -> bool:
        found = number(value)
        return found is not None and compare(found, limit)

    return holds


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
