"""The literals that a rule may hold, as pydantic types: strict, and written back as they were read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from perennial.common.rules.values.durations import PATTERN as DURATION
from perennial.common.rules.values.durations import format_duration, parse_duration
from perennial.common.rules.values.paths import parse_path
from perennial.common.rules.values.patterns import LONGEST as LONGEST_PATTERN
from perennial.common.rules.values.patterns import portable
from perennial.common.rules.values.scalars import LIMIT, instant

Scalar = bool | Decimal | str
Moment = timedelta | datetime

LONGEST_TEXT = 500
_TEXT = {"type": "string", "minLength": 0, "maxLength": LONGEST_TEXT}
_NUMBER = {"type": "number", "exclusiveMinimum": -1e30, "exclusiveMaximum": 1e30}


def _text(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain a NUL character")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("must not contain half of a surrogate pair")
    return value


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004 (pydantic turns ValueError, not TypeError, into a finding)
    found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not found.is_finite() or not -LIMIT < found < LIMIT:
        raise ValueError("must be a finite number below 1e30")
    if found != found.to_integral_value() and Decimal(repr(float(found))) != found:
        raise ValueError("must have at most 15 significant digits")
    return found


def _plain(value: Scalar) -> bool | int | float | str:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _scalar(value: object) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            raise ValueError(f"must have at most {LONGEST_TEXT} characters")
        return _text(value)
    if isinstance(value, int | float | Decimal):
        return _number(value)
    raise ValueError("must be a string, a number or a boolean")


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    return parse_duration(value if isinstance(value, str) else "")


def _window(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than zero")
    return value


def _moment(value: object) -> Moment:
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
        return _duration(value)
    found = instant(value)
    if found is None:
        raise ValueError("must be an ISO 8601 date, time or duration (P30D is 30 days ago)")
    return found


def _range(value: object) -> tuple[Decimal, Decimal] | tuple[datetime, datetime]:
    """Two numbers, or two times; both in order."""
    given = tuple(value) if isinstance(value, list | tuple) else ()
    if len(given) != 2:
        raise ValueError("must be two numbers or two times, such as [18, 30]")
    first, last = given
    if all(isinstance(item, str | datetime) for item in given):
        times = instant(first), instant(last)
        if times[0] is None or times[1] is None:
            raise ValueError("must be two ISO 8601 dates or times")
        if times[0] >= times[1]:
            raise ValueError("must be an earlier and a later time")
        return times[0], times[1]
    least, most = _number(first), _number(last)
    if least > most:
        raise ValueError("must be a lesser and a greater number")
    return least, most


def _plain_range(value: Sequence[object]) -> list[object]:
    return [format_moment(item) if isinstance(item, datetime) else _plain(cast("Scalar", item)) for item in value]


def format_moment(value: Moment | str) -> str:
    """`P30D`, `2026-01-01` for a midnight in UTC, else `2026-01-01T08:30:00Z`."""
    if not isinstance(value, datetime):
        return format_duration(value)
    spelled = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return spelled.removesuffix("T00:00:00Z")


def _pattern(value: str) -> str:
    portable(value)
    return _text(value)


def _path(value: str) -> str:
    parse_path(value)
    return _text(value)


Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200), AfterValidator(_text)]
Word = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_TEXT), AfterValidator(_text)]
Path = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200), AfterValidator(_path)]
PatternField = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=LONGEST_PATTERN),
    AfterValidator(_pattern),
    Field(description="A regular expression that part of a text fits; no look-around, no references back."),
]
ScalarField = Annotated[
    Scalar,
    BeforeValidator(_scalar),
    PlainSerializer(_plain),
    WithJsonSchema({"anyOf": [_TEXT, _NUMBER, {"type": "boolean"}]}),
]
Scalars = Annotated[tuple[ScalarField, ...], Field(min_length=1, max_length=1000)]
Number = Annotated[Decimal, BeforeValidator(_number), PlainSerializer(_plain), WithJsonSchema(_NUMBER)]
Window = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_window),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION}),
]
MomentField = Annotated[
    Moment,
    BeforeValidator(_moment),
    PlainSerializer(format_moment),
    WithJsonSchema({"type": "string", "description": "An ISO 8601 date or time, or a duration: that long ago."}),
]
RangeField = Annotated[
    tuple[Decimal, Decimal] | tuple[datetime, datetime],
    PlainValidator(_range),
    PlainSerializer(_plain_range),
    WithJsonSchema(
        {
            "type": "array",
            "anyOf": [{"items": _NUMBER}, {"items": {"type": "string"}}],
            "minItems": 2,
            "maxItems": 2,
            "description": "Two numbers, both included, or two dates or times, the latter excluded.",
        }
    ),
]
