"""Calendar windows: today, last week, this month and the two before. Weeks begin on Monday."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, PlainSerializer, StrictInt, Tag, model_validator

from perennial.common.rules.literals import Window
from perennial.common.rules.shape import Node, Unset, exactly_one, plainly
from perennial.common.rules.values import dated
from perennial.common.rules.zones import begins, day_of

Unit = Literal["day", "week", "month", "quarter", "year"]
LONGEST = {"day": 36_500, "week": 5_000, "month": 1_200, "quarter": 400, "year": 100}

_most_days = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}
_months = {"month": 1, "quarter": 3, "year": 12}


class Calendar(Node):
    """Whole units of the customer's calendar: `this` one (and those before it), the `last` ones, the `next` ones."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 2})
    this: Unit | Unset = None
    last: Unit | Unset = None
    next: Unit | Unset = None
    count: Annotated[StrictInt, Field(ge=1, le=36_500)] | Unset = None

    @property
    def kind(self) -> str:
        """Of `this`, `last` and `next` the one given."""
        return self.chosen("count")[0]

    @property
    def unit(self) -> Unit:
        """What is counted."""
        unit: Unit = getattr(self, self.kind)
        return unit

    @property
    def reach(self) -> tuple[int, int]:
        """The first unit that counts and the first that no longer does, from the current one."""
        count = self.count or 1
        return {"this": (1 - count, 1), "last": (-count, 0), "next": (1, 1 + count)}[self.kind]

    @property
    def look_back(self) -> timedelta:
        """No instant longer ago lies in the window, in whatever zone."""
        return timedelta(days=_most_days[self.unit] * (1 - self.reach[0]) + 2)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        exactly_one(self.chosen("count"), "of this, last, next")
        if (self.count or 1) > LONGEST[self.unit]:
            raise ValueError(f"must reach over at most {LONGEST[self.unit]} {self.unit}s")
        return self


def _past(within: Calendar) -> Calendar:
    if within.next:
        raise ValueError("next is for dates to come; events have happened")
    return within


def _kind(value: object) -> str:
    return "<calendar>" if isinstance(value, Mapping | Calendar) else "<window>"


CalendarField = Annotated[Calendar, PlainSerializer(plainly)]
# How far back events count: a duration, or units of the calendar.
Span = Annotated[
    Annotated[Window, Tag("<window>")] | Annotated[CalendarField, AfterValidator(_past), Tag("<calendar>")],
    Discriminator(_kind),
]


def days(calendar: Calendar, today: date) -> tuple[date, date]:
    """The first day in the window, and the first that no longer is."""
    here, (start, stop) = _number(calendar.unit, today), calendar.reach
    return _first_day(calendar.unit, here + start), _first_day(calendar.unit, here + stop)


def edges(calendar: Calendar, at: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first instant in the window, and the first that no longer is."""
    first, stop = days(calendar, today(at, zone))
    return begins(first, zone), begins(stop, zone)


def today(at: datetime, zone: tzinfo) -> date:
    """The day that it is. Raises ValueError at the ends of time."""
    found = day_of(at, zone)
    if found is None:
        raise ValueError("it is no day of ours")
    return found


def windows(calendar: Calendar) -> Callable[[datetime, tzinfo], tuple[datetime, datetime]]:
    """`edges` of one calendar, remembered."""

    @lru_cache(maxsize=1024)
    def remembered(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
        first, stop = days(calendar, day)
        return begins(first, zone), begins(stop, zone)

    return lambda at, zone: remembered(today(at, zone), zone)


def turns(calendar: Calendar, day: date, zone: tzinfo) -> Iterator[datetime]:
    """When something of this day comes into the window, and when it leaves."""
    here, (start, stop) = _number(calendar.unit, day), calendar.reach
    for number in (here - stop + 1, here - start + 1):
        yield begins(_first_day(calendar.unit, number), zone)


def calendar_check(calendar: Calendar) -> Callable[[object, datetime], bool]:
    """Whether a value is a date in the window, on the calendar of `now`'s zone.

    A date or time that names no zone is read on that calendar as well.
    """
    between = windows(calendar)

    def holds(value: object, now: datetime) -> bool:
        found, zone = dated(value), now.tzinfo or UTC
        if found is None:
            return False
        if isinstance(found, datetime):
            start, stop = between(now, zone)
            return start <= found < stop
        first, last = days(calendar, today(now, zone))
        return first <= found < last

    return holds


def calendar_changes(calendar: Calendar) -> Callable[[object, datetime], Iterator[datetime]]:
    """The instants at which the answer about a value can change, on the calendar of `now`'s zone."""

    def instants(value: object, now: datetime) -> Iterator[datetime]:
        found, zone = dated(value), now.tzinfo or UTC
        day = day_of(found, zone) if isinstance(found, datetime) else found
        if day is not None:
            yield from turns(calendar, day, zone)

    return instants


def _number(unit: Unit, day: date) -> int:
    """Which day, week, month, … since the first of the year 1, which was a Monday."""
    if unit == "day":
        return day.toordinal()
    if unit == "week":
        return (day.toordinal() - 1) // 7
    return (day.year * 12 + day.month - 1) // _months[unit]


def _first_day(unit: Unit, number: int) -> date:
    if unit == "day":
        return date.fromordinal(number)
    if unit == "week":
        return date.fromordinal(number * 7 + 1)
    year, month = divmod(number * _months[unit], 12)
    return date(year, month + 1, 1)
