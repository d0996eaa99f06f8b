"""Conditions on one value as SQL: the twin of `evaluation.conditions`, operator by operator."""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from perennial.common.rules.calendar.windows import Calendar
from perennial.common.rules.calendar.zones import deployment_zone
from perennial.common.rules.evaluation.conditions import Timed, affirmative
from perennial.common.rules.grammar.criteria import Bounds, Condition, Element
from perennial.common.rules.sql.clock import Clock
from perennial.common.rules.sql.places import near_sql
from perennial.common.rules.sql.values import Binds, as_list, instant, number, text, walk
from perennial.common.rules.values.literals import Scalar
from perennial.common.rules.values.paths import Step, parse_path
from perennial.common.rules.values.patterns import portable
from perennial.common.rules.values.scalars import number as as_number
from perennial.common.rules.values.scalars import text as spell

COMPARE = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LIKE = str.maketrans({"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"})


def condition_sql(
    condition: Condition | Element,
    value: str,
    steps: Sequence[Step],
    binds: Binds,
    now: datetime,
    clock: Clock | None = None,
) -> str:
    """Whether any value at the path from `value` satisfies the condition: true or false, never null."""
    clock = clock or Clock(now, binds, deployment_zone())
    if isinstance(condition, Element):
        return _element_sql(condition, value, steps, clock)
    operator, operand, negated = affirmative(condition)
    found, items = walk(value, steps, binds)
    test = _test(operator, operand, found, clock)
    held = f"EXISTS (SELECT 1 FROM {', '.join(items)} WHERE {test})" if items else f"({test}) IS TRUE"
    return f"NOT ({held})" if negated else f"({held})"


def _element_sql(element: Element, value: str, steps: Sequence[Step], clock: Clock) -> str:
    found, items = walk(value, steps, clock.binds, "element")
    tests = [f"jsonb_typeof({found}) <> 'null'"]
    tests += [
        condition_sql(item, found, parse_path(item.property), clock.binds, clock.now, clock) for item in element.where
    ]
    held = f"EXISTS (SELECT 1 FROM {', '.join(items)} WHERE {' AND '.join(tests)})"
    return f"(NOT {held})" if element.none_of is not None else f"({held})"


def time_sql(operator: str, operand: Timed, at: str, clock: Clock) -> str:
    """Whether a timestamptz satisfies a time operator."""
    if isinstance(operand, Calendar):
        return clock.within(operand, at)
    binds, now = clock.binds, clock.now
    edge = binds(_edge(operator, operand, now), "timestamptz")
    match operator:
        case "before":
            return f"{at} {'<=' if isinstance(operand, timedelta) else '<'} {edge}"
        case "after":
            return f"{at} {'>' if isinstance(operand, timedelta) else '>='} {edge}"
        case "within_last":
            return f"({at} > {edge} AND {at} <= {binds(now, 'timestamptz')})"
        case _:
            return f"({at} <= {edge} AND {at} > {binds(now, 'timestamptz')})"


def bounds_sql(limits: Bounds, total: str, binds: Binds, share: str = "1") -> str:
    """Whether a numeric compares as wanted with `limit * share`."""
    given = ((sign, getattr(limits, name)) for name, sign in COMPARE.items())
    return " AND ".join(
        f"{total} {sign} {binds(limit, 'numeric')} * {share}" for sign, limit in given if limit is not None
    )


def _edge(operator: str, operand: timedelta | datetime, now: datetime) -> datetime:
    if isinstance(operand, timedelta):
        return now + operand if operator == "within_next" else now - operand
    return operand


def _test(operator: str, operand: object, value: str, clock: Clock) -> str:
    if operator in COMPARE:
        return f"{number(value)} {COMPARE[operator]} {clock.binds(operand, 'numeric')}"
    if operator in _BUILDERS:
        return _BUILDERS[operator](value, operand, clock.binds)
    if isinstance(operand, Calendar):
        return clock.dated(operand, value)
    if operator == "birthday_within":
        return clock.birthday(cast("int", operand), value)
    return time_sql(operator, cast("Timed", operand), f"({instant(value)})", clock)


def _between(value: str, limits: tuple[Decimal, Decimal] | tuple[datetime, datetime], binds: Binds) -> str:
    first, last = limits
    if isinstance(first, datetime):
        at = f"({instant(value)})"
        return f"{at} >= {binds(first, 'timestamptz')} AND {at} < {binds(last, 'timestamptz')}"
    found = f"({number(value)})"
    return f"{found} >= {binds(first, 'numeric')} AND {found} <= {binds(last, 'numeric')}"


def _is(value: str, wanted: Scalar, binds: Binds) -> str:
    return _in(value, [wanted], binds)


def _in(value: str, wanted: Sequence[Scalar], binds: Binds) -> str:
    numbers = [item for item in wanted if isinstance(item, Decimal)]
    said = [one for item in wanted if not isinstance(item, Decimal) for one in _jsons(spell(item) or "")]
    tests = [f"{value} = ANY({binds(said, 'jsonb[]')})"] if said else []
    if numbers:
        tests.append(f"{number(value)} = ANY({binds(numbers, 'numeric[]')})")
    return " OR ".join(tests)


def _jsons(spelled: str) -> list[str]:
    """The values that are read as a text, as JSON: so Postgres compares faster, and knows how frequent they are."""
    found = [json.dumps(spelled, ensure_ascii=False)]
    number = as_number(spelled)
    if spelled in {"true", "false"} or (number is not None and spell(number) == spelled):
        found.append(spelled)
    return found


def _contains(value: str, wanted: Scalar, binds: Binds) -> str:
    parts = f"jsonb_array_elements({as_list(value)}) AS part(value)"
    among = f"EXISTS (SELECT 1 FROM {parts} WHERE {_is('part.value', wanted, binds)})"
    if not isinstance(wanted, str):
        return among
    return f"{among} OR strpos({text(value)}, {binds(wanted, 'text')}) > 0"


def _ends_with(value: str, wanted: str, binds: Binds) -> str:
    return f"right({text(value)}, {len(wanted)}) = {binds(wanted, 'text')}"


_BUILDERS: dict[str, Callable[..., str]] = {
    "is": _is,
    "in": _in,
    "contains": _contains,
    "starts_with": lambda value, wanted, binds: f"starts_with({text(value)}, {binds(wanted, 'text')})",
    "ends_with": _ends_with,
    "matches": lambda value, wanted, binds: f"{text(value)} LIKE {binds(wanted.translate(_LIKE), 'text')}",
    "regex": lambda value, wanted, binds: f"{text(value)} ~ {binds(portable(wanted), 'text')}",
    "between": _between,
    "near": lambda value, wanted, binds: near_sql(wanted, value, binds),
    "exists": lambda value, _wanted, _binds: f"jsonb_typeof({value}) <> 'null'",
}
