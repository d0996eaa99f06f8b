"""How the README says that values are read and compared, word by word; shares no code with the evaluators."""

import json
import math
import operator as op
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pydantic


def snake(path: str) -> str:
    return {"createdAt": "created_at"}.get(path, path)


def at_path(root: Any, path: str) -> list[Any]:
    head, _, rest = path.replace("\\.", "\0").partition(".")
    name = head.removesuffix("[]").replace("\0", ".")
    if not isinstance(root, dict) or root.get(name) is None:
        return []
    found = root[name]
    items = [found] if not head.endswith("[]") else found if isinstance(found, list) else []
    if rest:
        return [value for item in items for value in at_path(item, rest.replace("\0", "\\."))]
    return [item for item in items if item is not None]


def as_number(value: Any) -> Fraction | None:
    if isinstance(value, str):
        body = value.strip(" ")
        whole, _, part = body.removeprefix("-").partition(".")
        digits = set("0123456789")
        if not set(whole + part) <= digits or not whole + part or len(whole) > 30 or len(part) > 15:
            return None
        return Fraction(f"{'-' if body.startswith('-') else ''}{whole or 0}.{part or 0}")
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    found = Fraction(str(value))
    return found if abs(found) < 10**30 else None


def as_text(value: Any) -> str | None:
    if isinstance(value, str | bool):
        return value if isinstance(value, str) else json.dumps(value)
    found = as_number(value)
    if found is None:
        return None
    digits = str(abs(found.numerator) * 10**400 // found.denominator).rjust(401, "0")
    return ("-" if found < 0 else "") + f"{digits[:-400]}.{digits[-400:]}".rstrip("0").rstrip(".")


def _time(value: Any) -> datetime | None:
    shape = r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?"
    found = re.fullmatch(shape, value, re.ASCII) if isinstance(value, str) else None
    if not found or not 1800 <= int(found[1]) <= 2999:
        return None
    zone = (found[8] or "Z").replace(":", "").replace("Z", "+0000")
    hours, minutes = int(zone[1:3]), int(zone[3:])
    if hours > 14 or minutes > 59:
        return None
    try:
        clock = (int(found[4] or 0), int(found[5] or 0), int(found[6] or 0), int((found[7] or "0").ljust(6, "0")[:6]))
        at = datetime(int(found[1]), int(found[2]), int(found[3]), *clock, tzinfo=UTC)
    except ValueError:
        return None
    return at - timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)


def satisfies(rule: dict[str, Any], values: list[Any], now: datetime) -> bool:
    ((operator, operand),) = [(name, rule[name]) for name in rule if name not in {"trait", "property"}]
    if operator == "exists":
        return bool(values) is operand
    positive = {"is_not": "is", "not_in": "in", "not_contains": "contains"}.get(operator, operator)
    return any(_test(positive, operand, value, now) for value in values) is (positive == operator)


def elements(rule: dict[str, Any], root: Any, now: datetime) -> bool:
    path = snake(rule.get("any_of") or rule["none_of"])
    elements = at_path(root, path if path.endswith("[]") else f"{path}[]")
    return ("any_of" in rule) is any(
        all(satisfies(test, at_path(item, test["property"]), now) for test in rule["where"]) for item in elements
    )


def calendar(window: dict[str, Any], value: Any, now: datetime) -> bool:
    """Whether a value's day on the calendar of `now` is in one of the units wanted, each known by its first day."""
    at = value if isinstance(value, datetime) else _time(value)
    if at is None:
        return False
    local = isinstance(value, str) and not re.search(r"(Z|[+-]\d\d:?\d\d)$", value[10:])
    day = at.date() if local else at.astimezone(now.tzinfo).date()
    (kind, unit), count = next(iter(window.items())), window.get("count", 1)
    current = _unit(unit, now.date())
    wanted = [current] if kind == "this" else []
    step = current
    while len(wanted) < count:
        step = _unit(unit, step - timedelta(days=1)) if kind != "next" else _following(unit, step)
        wanted.append(step)
    return _unit(unit, day) in wanted


def _unit(unit: str, day: date) -> date:
    if unit == "week":
        return date.fromisocalendar(*day.isocalendar()[:2], 1)
    months = {"month": range(1, 13), "quarter": (1, 4, 7, 10), "year": (1,)}
    return day if unit == "day" else day.replace(day=1, month=max(n for n in months[unit] if n <= day.month))


def _following(unit: str, first: date) -> date:
    return next(day for n in range(1, 400) if (day := _unit(unit, first + timedelta(days=n))) > first)


def _birthday(count: int, value: Any, now: datetime) -> bool:
    if not isinstance(value, str):
        return False
    said = value[5:10] if _time(value) else value[-5:] if re.fullmatch(r"(--)?\d\d-\d\d", value, re.ASCII) else ""
    for n in range(count + 1):
        day = now.date() + timedelta(days=n)
        common = (day + timedelta(days=1)).month == 3 and day.day == 28
        if said == f"{day:%m-%d}" or (common and said == "02-29"):
            return True
    return False


def _near(circle: dict[str, Any], value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    ends = []
    for names, most in ((("latitude", "lat"), 90), (("longitude", "lng", "lon", "long"), 180)):
        found = as_number(next((value[name] for name in names if value.get(name) is not None), None))
        if found is None or abs(found) > most:
            return False
        ends.append(math.radians(found))
    north, east = math.radians(circle["latitude"]), math.radians(circle["longitude"])
    up, along = math.sin((ends[0] - north) / 2), math.sin((ends[1] - east) / 2)
    chord = math.hypot(up, math.sqrt(math.cos(north) * math.cos(ends[0])) * along)
    return bool(2 * 6371.0088 * math.asin(min(1, chord)) <= circle["km"])


def _between(limits: list[Any], value: Any) -> bool:
    if isinstance(limits[0], str):
        at, ends = _time(value), [_time(limit) for limit in limits]
        return at is not None and ends[0] is not None and ends[1] is not None and ends[0] <= at < ends[1]
    number = as_number(value)
    return number is not None and bounded({"gte": limits[0], "lte": limits[1]}, number)


_duration = pydantic.TypeAdapter(timedelta)


def _test(operator: str, operand: Any, value: Any, now: datetime) -> bool:  # noqa: PLR0911 (one per kind)
    particular: dict[str, Callable[[], bool]] = {
        "between": lambda: _between(operand, value),
        "within": lambda: calendar(operand, value, now),
        "birthday_within": lambda: _birthday(operand, value, now),
        "near": lambda: _near(operand, value),
    }
    if operator in particular:
        return particular[operator]()
    if operator in {"before", "after", "within_last", "within_next"}:
        at = _time(value)
        return at is not None and timely(operator, operand, at, now)
    if operator in {"gt", "gte", "lt", "lte"}:
        number = as_number(value)
        return number is not None and bounded({operator: operand}, number)
    if operator == "is":
        return _same(operand, value)
    if operator == "in":
        return any(_same(item, value) for item in operand)
    if operator == "contains" and isinstance(value, list):
        return any(_same(operand, item) for item in value)
    text = as_text(value)
    if text is None or not isinstance(operand, str):
        return False
    if operator == "contains":
        return operand in text
    if operator in {"matches", "regex"}:
        return re.search(_pattern(operator, operand), text, re.DOTALL | re.ASCII) is not None
    return text.startswith(operand) if operator == "starts_with" else text.endswith(operand)


def _pattern(operator: str, operand: str) -> str:
    if operator == "regex":
        return operand.replace("$", r"\Z")
    return r"\A" + re.escape(operand).replace(r"\*", ".*").replace(r"\?", ".") + r"\Z"


def _same(operand: Any, value: Any) -> bool:
    if isinstance(operand, str | bool):
        return as_text(value) == as_text(operand)
    number = as_number(value)
    return number is not None and number == as_number(operand)


def timely(operator: str, operand: str, at: datetime, now: datetime) -> bool:
    if not operand.startswith("P"):
        edge = _time(operand)
        assert edge is not None
        return at < edge if operator == "before" else at >= edge
    span, now = as_span(operand), now.astimezone(UTC)
    return {
        "before": at <= now - span,
        "after": at > now - span,
        "within_last": now - span < at <= now,
        "within_next": now < at <= now + span,
    }[operator]


def as_span(operand: str) -> timedelta:
    return _duration.validate_python(operand)


def bounded(limits: dict[str, Any], value: Fraction) -> bool:
    signs = {"eq": op.eq, "gt": op.gt, "gte": op.ge, "lt": op.lt, "lte": op.le}
    return all(signs[name](value, Fraction(str(limits[name]))) for name in signs if name in limits)
