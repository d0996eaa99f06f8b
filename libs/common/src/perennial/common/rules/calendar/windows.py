"""Calendar windows: today, last week, this month and the two before. Weeks begin on Monday."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, PlainSerializer, StrictInt, Tag, model_validator

from perennial.common.rules.calendar.zones import begins, day_of
from perennial.common.rules.values.literals import Window
from perennial.common.rules.values.scalars import dated
from perennial.common.rules.values.shape import Node, Unset, exactly_one, plainly

Unit = Literal["day", "week", "month", "quarter", "year"]
LONGEST = {"day": 36_500, "week": 5_000, "month": 1_200, "quarter": 400, "year": 100}

_most_days = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}
_months = {"month": 1, "quarter": 3, "year": 12}


class Reach(NamedTuple):
    """A calendar window, ready to be asked: from `start` until before `stop`, in units from the current one."""

    unit: Unit
    start: int
    stop: int

    def days(self, today: date) -> tuple[date, date]:
        """The first day in the window, and the first that no longer is."""
        here = _number(self.unit, today)
        return _first_day(self.unit, here + self.start), _first_day(self.unit, here + self.stop)

    def turns(self, day: date, zone: tzinfo) -> tuple[datetime, datetime]:
        """When something of this day comes into the window, and when it leaves."""
        here = _number(self.unit, day)
        comes, leaves = (_first_day(self.unit, here + 1 - units) for units in (self.stop, self.start))
        return begins(comes, zone), begins(leaves, zone)


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
    def reach(self) -> "Reach":
        """The first unit that counts and the first that no longer does, from the current one."""
        count = self.count or 1
        start, stop = {"this": (1 - count, 1), "last": (-count, 0), "next": (1, 1 + count)}[self.kind]
        return Reach(self.unit, start, stop)

    @property
    def look_back(self) -> timedelta:
        """No instant longer ago lies in the window, in whatever zone."""
        return timedelta(days=_most_days[self.unit] * (1 - self.reach.start) + 2)

    @model_validator(mode="before")
    @classmethod
    def _one_is_no_count(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and type(data.get("count")) is int and data["count"] == 1:
            return {name: said for name, said in data.items() if name != "count"}
        return data

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


def today(at: datetime, zone: tzinfo) -> date:
    """The day that it is. Raises ValueError at the ends of time."""
    found = day_of(at, zone)
    if found is None:
        raise ValueError("it is no day of ours")
    return found


def windows(calendar: Calendar) -> Callable[[datetime, tzinfo], tuple[datetime, datetime]]:
    """A function from a moment and a zone to the first instant in the window, and the first that no longer is."""
    reach = calendar.reach

    @lru_cache(maxsize=1024)
    def remembered(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
        first, stop = reach.days(day)
        return begins(first, zone), begins(stop, zone)

    return lambda at, zone: remembered(today(at, zone), zone)


def calendar_check(calendar: Calendar) -> Callable[[object, datetime], bool]:
    """Whether a value is a date in the window, on the calendar of `now`'s zone.

    A date or time that names no zone is read on that calendar as well.
    """
    between, reach = windows(calendar), calendar.reach

    def holds(value: object, now: datetime) -> bool:
        found, zone = dated(value), now.tzinfo or UTC
        if found is None:
            return False
        if isinstance(found, datetime):
            start, stop = between(now, zone)
            return start <= found < stop
        first, last = reach.days(today(now, zone))
        return first <= found < last

    return holds


def calendar_changes(calendar: Calendar) -> Callable[[object, datetime], Iterator[datetime]]:
    """The instants at which the answer about a value can change, on the calendar of `now`'s zone."""
    reach = calendar.reach

    def instants(value: object, now: datetime) -> Iterator[datetime]:
        found, zone = dated(value), now.tzinfo or UTC
        day = day_of(found, zone) if isinstance(found, datetime) else found
        if day is not None:
            yield from reach.turns(day, zone)

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
