"""Days that come back every year: a month and a day, in whatever year they were first."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from perennial.common.rules.calendar.windows import today
from perennial.common.rules.calendar.zones import begins
from perennial.common.rules.values.scalars import instant

# More would hold on all days of some years.
MOST_DAYS = 360
# Without a year, as vCards have it; shared with Postgres.
YEARLESS = r"(--)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"

_yearless = re.compile(YEARLESS)
_day = timedelta(days=1)


def month_day(value: object) -> str | None:
    """`MM-DD` of a date, of a time as it is written, or of a text that names no year (`--02-29`)."""
    if isinstance(value, str):
        if _yearless.fullmatch(value):
            return value[-5:]
        return value[5:10] if instant(value) is not None else None
    return value.strftime("%m-%d") if isinstance(value, datetime) else None


@lru_cache(maxsize=4096)
def coming(day: date, count: int) -> frozenset[str]:
    """The birthdays from this day to `count` days on; the 29th of February is the 28th where the year has none."""
    found = {(day + n * _day).strftime("%m-%d") for n in range(count + 1)}
    feasts = (date(year, 2, 28) for year in (day.year, day.year + 1) if not _leap(year))
    return frozenset(found | {"02-29" for feast in feasts if day <= feast <= day + count * _day})


def birthday_check(count: int) -> Callable[[object, datetime], bool]:
    """Whether a value's day comes back today or within `count` days, on the calendar of `now`'s zone."""

    def holds(value: object, now: datetime) -> bool:
        found = month_day(value)
        return found is not None and found in coming(today(now, now.tzinfo or UTC), count)

    return holds


def birthday_changes(count: int) -> Callable[[object, datetime], Iterator[datetime]]:
    """The midnights at which a birthday comes near, and after which it is over, of this year and those around it."""

    def instants(value: object, now: datetime) -> Iterator[datetime]:
        found, zone = month_day(value), now.tzinfo or UTC
        if found is None:
            return
        year = today(now, zone).year
        for feast in filter(None, (_feast(found, near) for near in range(year - 1, year + 4))):
            yield begins(feast - count * _day, zone)
            yield begins(feast + _day, zone)

    return instants


def _feast(month_day: str, year: int) -> date | None:
    if month_day == "02-29" and not _leap(year):
        month_day = "02-28"
    try:
        return date.fromisoformat(f"{year}-{month_day}")
    except ValueError:  # the 31st of April
        return None


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
