"""A schema of its own with the fact tables, and a naive reading of rules to judge the others by."""

import hashlib
import json
import math
import operator as op
import os
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pydantic
import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Uuid, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from perennial.common.rules import Occurrence, View
from perennial.common.rules.facts import fact_tables


@pytest.fixture(scope="session")
async def facts_engine() -> AsyncIterator[AsyncEngine]:
    url = os.environ["PERENNIAL_TEST_DATABASE_URL"].replace("postgresql:", "postgresql+asyncpg:")
    schema = f"rules_{uuid4().hex[:12]}"
    settings = {"search_path": schema, "timezone": "Asia/Shanghai"}  # a zone that is not UTC shows what depends on it
    engine = create_async_engine(url, connect_args={"server_settings": settings})
    metadata = MetaData()
    fact_tables(metadata)
    Table(
        "identity_map",
        metadata,
        Column("via", Uuid, primary_key=True),
        Column("customer_id", Uuid, nullable=False, index=True),
        Column("version", BigInteger, nullable=False),
    )
    Table(
        "membership",
        metadata,
        Column("segment_id", Uuid, primary_key=True),
        Column("customer_id", Uuid, primary_key=True),
    )
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA {schema}"))
        await connection.run_sync(metadata.create_all)
        for table in metadata.tables:  # what is rolled back again and again would be taken for an empty table
            await connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = false)"))
    yield engine
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    await engine.dispose()


@pytest.fixture(scope="session")
async def facts_connection(facts_engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with facts_engine.connect() as connection:
        yield connection


@pytest.fixture
async def facts(facts_connection: AsyncConnection) -> AsyncIterator[AsyncSession]:
    """A session on the empty fact tables; what it writes is gone afterwards."""
    outer = await facts_connection.begin()
    async with AsyncSession(facts_connection, join_transaction_mode="create_savepoint") as session:
        yield session
    await outer.rollback()


@pytest.fixture(scope="session")
def naive() -> Callable[..., bool]:
    """The words of the language's README one by one, sharing no code with the evaluators."""

    def holds(rule: dict[str, Any], view: View, now: datetime, zone: str = "UTC") -> bool:
        said = (view.traits.get("timezone"), view.traits.get("time_zone"))
        own = next((str(name) for name in said if _is_zone(name)), zone)
        return _holds(rule, view, now.astimezone(ZoneInfo(own)))

    return holds


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
    return _bounded(rule["random"], Fraction(int.from_bytes(digest[:4]) % 100))


def _is_tagged(rule: dict[str, Any], view: View, _now: datetime) -> bool:
    return any(_text(tag) == rule["tag"] for tag in _at_path(view.traits, "tags[]"))


_READINGS: dict[str, Callable[[dict[str, Any], View, datetime], bool]] = {
    "all": lambda rule, view, now: all(_holds(part, view, now) for part in rule["all"]),
    "any": lambda rule, view, now: any(_holds(part, view, now) for part in rule["any"]),
    "not": lambda rule, view, now: not _holds(rule["not"], view, now),
    "tag": _is_tagged,
    "stage": lambda rule, view, _now: _text(view.traits.get("stage")) == rule["stage"],
    "trait": lambda rule, view, now: _satisfies(rule, _at_path(view.traits, _snake(rule["trait"])), now),
    "any_of": lambda rule, view, now: _elements(rule, view.traits, now),
    "none_of": lambda rule, view, now: _elements(rule, view.traits, now),
    "event": lambda *asked: _measures_up(*asked),  # noqa: PLW0108 (it comes below)
    "sequence": lambda rule, view, now: _goes_on(rule, rule["sequence"], view, now, []),
    "segment": lambda rule, view, _now: UUID(rule["segment"]) in view.segments,
    "random": _is_in_bucket,
}


def _snake(path: str) -> str:
    return {"createdAt": "created_at"}.get(path, path)


def _at_path(root: Any, path: str) -> list[Any]:
    head, _, rest = path.replace("\\.", "\0").partition(".")
    name = head.removesuffix("[]").replace("\0", ".")
    if not isinstance(root, dict) or root.get(name) is None:
        return []
    found = root[name]
    items = [found] if not head.endswith("[]") else found if isinstance(found, list) else []
    if rest:
        return [value for item in items for value in _at_path(item, rest.replace("\0", "\\."))]
    return [item for item in items if item is not None]


def _number(value: Any) -> Fraction | None:
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


def _text(value: Any) -> str | None:
    if isinstance(value, str | bool):
        return value if isinstance(value, str) else json.dumps(value)
    found = _number(value)
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


def _satisfies(rule: dict[str, Any], values: list[Any], now: datetime) -> bool:
    ((operator, operand),) = [(name, rule[name]) for name in rule if name not in {"trait", "property"}]
    if operator == "exists":
        return bool(values) is operand
    positive = {"is_not": "is", "not_in": "in", "not_contains": "contains"}.get(operator, operator)
    return any(_test(positive, operand, value, now) for value in values) is (positive == operator)


def _elements(rule: dict[str, Any], root: Any, now: datetime) -> bool:
    path = _snake(rule.get("any_of") or rule["none_of"])
    elements = _at_path(root, path if path.endswith("[]") else f"{path}[]")
    return ("any_of" in rule) is any(
        all(_satisfies(test, _at_path(item, test["property"]), now) for test in rule["where"]) for item in elements
    )


def _calendar(window: dict[str, Any], value: Any, now: datetime) -> bool:
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
        found = _number(next((value[name] for name in names if value.get(name) is not None), None))
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
    number = _number(value)
    return number is not None and _bounded({"gte": limits[0], "lte": limits[1]}, number)


_duration = pydantic.TypeAdapter(timedelta)


def _test(operator: str, operand: Any, value: Any, now: datetime) -> bool:  # noqa: PLR0911 (one per kind)
    particular: dict[str, Callable[[], bool]] = {
        "between": lambda: _between(operand, value),
        "within": lambda: _calendar(operand, value, now),
        "birthday_within": lambda: _birthday(operand, value, now),
        "near": lambda: _near(operand, value),
    }
    if operator in particular:
        return particular[operator]()
    if operator in {"before", "after", "within_last", "within_next"}:
        at = _time(value)
        return at is not None and _timely(operator, operand, at, now)
    if operator in {"gt", "gte", "lt", "lte"}:
        number = _number(value)
        return number is not None and _bounded({operator: operand}, number)
    if operator == "is":
        return _same(operand, value)
    if operator == "in":
        return any(_same(item, value) for item in operand)
    if operator == "contains" and isinstance(value, list):
        return any(_same(operand, item) for item in value)
    text = _text(value)
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
        return _text(value) == _text(operand)
    number = _number(value)
    return number is not None and number == _number(operand)


def _timely(operator: str, operand: str, at: datetime, now: datetime) -> bool:
    if not operand.startswith("P"):
        edge = _time(operand)
        assert edge is not None
        return at < edge if operator == "before" else at >= edge
    span, now = _span(operand), now.astimezone(UTC)
    return {
        "before": at <= now - span,
        "after": at > now - span,
        "within_last": now - span < at <= now,
        "within_next": now < at <= now + span,
    }[operator]


def _span(operand: str) -> timedelta:
    return _duration.validate_python(operand)


def _bounded(limits: dict[str, Any], value: Fraction) -> bool:
    signs = {"eq": op.eq, "gt": op.gt, "gte": op.ge, "lt": op.lt, "lte": op.le}
    return all(signs[name](value, Fraction(str(limits[name]))) for name in signs if name in limits)


def _happened(rule: dict[str, Any], view: View, now: datetime) -> list[Occurrence]:
    return [
        item for item in view.events.get(rule["event"], ())
        if item.at <= now and all(
            _elements(test, item.properties, now) if "where" in test
            else _satisfies(test, _at_path(item.properties, test["property"]), now)
            for test in rule.get("where", [])
        )
    ]  # fmt: skip


def _in_window(rule: dict[str, Any], at: datetime, now: datetime) -> bool:
    window = rule.get("within")
    return window is None or (_calendar(window, at, now) if isinstance(window, dict)
                              else _timely("within_last", window, at, now))  # fmt: skip


def _beside(rule: dict[str, Any], item: Occurrence, view: View, now: datetime) -> bool:
    for name in ("followed_by", "not_followed_by", "preceded_by", "not_preceded_by"):
        if other := rule.get(name):
            span, follows = _span(other["within"]), name.endswith("followed_by")
            gaps = [(found.at - item.at) * (1 if follows else -1) for found in _happened(other, view, now)]
            if any(timedelta() < gap <= span for gap in gaps) is name.startswith("not"):
                return False
            if name == "not_followed_by" and now < item.at + span:
                return False
    return True


def _goes_on(rule: dict[str, Any], steps: list[Any], view: View, now: datetime, made: list[datetime]) -> bool:
    """Every way to go through the steps, one by one."""
    if not steps:
        return "span" not in rule or made[-1] - made[0] <= _span(rule["span"])
    for item in _happened(steps[0], view, now):
        if not _in_window(rule, item.at, now) or (made and item.at <= made[-1]):
            continue
        if made and "within" in steps[0] and item.at - made[-1] > _span(steps[0]["within"]):
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
            return _calendar(operand, at, now) if how == "within" else _timely(how, operand, at, now)
    if "distinct" in rule:
        said = {_text(value) for item in found for value in _at_path(item.properties, rule["distinct"]["property"])}
        return _bounded(rule["distinct"], Fraction(len(said - {None})))
    for name in ("sum", "average", "min", "max"):
        if name in rule:
            values = [_number(value) for item in found for value in _at_path(item.properties, rule[name]["property"])]
            return _amount(name, rule[name], [value for value in values if value is not None])
    return _bounded(rule.get("count", {"gte": 1}), Fraction(len(found)))


def _amount(name: str, limits: dict[str, Any], numbers: list[Fraction]) -> bool:
    if name == "sum":
        return _bounded(limits, sum(numbers, Fraction()))
    if not numbers:
        return False
    value = (
        sum(numbers, Fraction()) / len(numbers)
        if name == "average"
        else min(numbers)
        if name == "min"
        else max(numbers)
    )
    return _bounded(limits, value)
