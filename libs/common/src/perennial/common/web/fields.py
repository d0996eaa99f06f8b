"""Field types of bodies: as strict as JSON Schema says, where pydantic would guess."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

_NUMBER = re.compile(r"\s*[-+]?[0-9]*\.?[0-9]*\s*")


def _number(value: Any) -> Any:
    if isinstance(value, str | bool | bytes):
        raise ValueError("must be a number")  # noqa: TRY004 (pydantic reports ValueError)
    return value


def _spelled(value: Any) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        raise ValueError("must be written out, not a number")
    if not isinstance(value, str | date | time | timedelta):
        raise ValueError("must be a string")  # noqa: TRY004 (pydantic reports ValueError)
    return value


def _in_range(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from error


Whole = Annotated[int, BeforeValidator(_number)]
"""A whole number, also spelled 297.0 as JSON Schema has it; never a string."""

Flag = Annotated[bool, Field(strict=True)]
"""true or false; never a word or a number."""

Spelled = BeforeValidator(_spelled)
"""A time, a date or a span must be written out: numbers would be guessed to be seconds."""

Day = Annotated[date, Spelled]
"""A date."""

Instant = Annotated[AwareDatetime, AfterValidator(_in_range), Spelled]
"""A time with its zone, in UTC."""


def left_out(description: str | None = None) -> Any:
    """The default of a member of a merge patch (RFC 7396) that may be absent but never null: it cannot be cleared."""
    return Field(default=None, description=description, json_schema_extra=_without_default)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)
