"""How a JSON value is read: as text, as a number, as an instant. `sql.values` says the same in SQL."""

import re
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from functools import lru_cache

# Numbers of this size and beyond are nobody's amount; Postgres would overflow adding them up.
LIMIT = Decimal("1e30")
# Sums and products never round: 30 digits before the point and all that Postgres keeps after it.
EXACT = Context(prec=50_000)

# Shared with Postgres, so only what both dialects of regular expressions read alike.
# No plus in front: a text that begins with one is a phone sooner than an amount, and phones are not to be compared.
NUMBER = r" *-?([0-9]{1,30}(\.[0-9]{0,15})?|\.[0-9]{1,15}) *"
_DATE = r"(1[89]|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
LOCAL = f"{_DATE}({_TIME})?"
ZONED = f"{_DATE}{_TIME}(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])"
SHORT = 40  # characters of what is likely to come again
BEYOND_MICROSECONDS = r"(\.[0-9]{6})[0-9]+"

_number = re.compile(NUMBER)
_local = re.compile(LOCAL)
_zoned = re.compile(ZONED)
_beyond_microseconds = re.compile(BEYOND_MICROSECONDS)


def number(value: object) -> Decimal | None:
    """A JSON number, or a string that spells one; None for everything else, NaN included."""
    if isinstance(value, str):
        return _spelled(value) if len(value) <= SHORT else _spelled.__wrapped__(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal):
        found = value
    elif isinstance(value, int):
        found = Decimal(value)
    elif isinstance(value, float):
        found = Decimal(repr(value))
    else:
        return None
    return found if found.is_finite() and -LIMIT < found < LIMIT else None


@lru_cache(maxsize=65_536)  # the same amount is asked for by many rules
def _spelled(value: str) -> Decimal | None:
    found = Decimal(value.strip(" ")) if _number.fullmatch(value) else None
    return found if found is not None and -LIMIT < found < LIMIT else None


def text(value: object) -> str | None:
    """A string as it is, `true` or `false`, a number in plain decimals without trailing zeros."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    found = number(value)
    if found is None:
        return None
    return format(found.normalize(EXACT), "f") if found else "0"


def instant(value: object) -> datetime | None:
    """An ISO 8601 date or time between 1800 and 2999; UTC where it names no zone, cut to microseconds."""
    if isinstance(value, str):
        return _instant(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    return None


def dated(value: object) -> datetime | date | None:
    """The same, but a mere day where no zone is named: whose day it is, the reader says."""
    found = instant(value)
    return found.date() if found is not None and isinstance(value, str) and _local.fullmatch(value) else found


@lru_cache(maxsize=65_536)
def _instant(value: str) -> datetime | None:
    zoned = _zoned.fullmatch(value)
    if not zoned and not _local.fullmatch(value):
        return None
    try:
        found = datetime.fromisoformat(_beyond_microseconds.sub(r"\1", value))
    except ValueError:  # the 30th of February
        return None
    return found.astimezone(UTC) if zoned else found.replace(tzinfo=UTC)
