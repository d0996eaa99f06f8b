"""Working time: pure arithmetic over a week of frames, holidays and a zone.

An instant is working time when the clock on the wall, in the calendar's zone, stands in a frame of a day that is no
holiday. So an hour that the clock repeats counts twice and one that it skips does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

DAY = timedelta(days=1)
NOTHING = timedelta()
FARTHEST = 60 * 366 * DAY

Frame = tuple[datetime, datetime]


@dataclass(frozen=True)
class Calendar:
    """`week` holds the frames of Monday to Sunday as minutes of the day (0..1440), sorted and apart."""

    zone: tzinfo
    week: tuple[tuple[tuple[int, int], ...], ...]
    holidays: frozenset[date] = frozenset()


def working_time_add(calendar: Calendar, start: datetime, work: timedelta) -> datetime:
    """The first instant by which `work` of working time has passed since `start`. ValueError when it never has."""
    if work <= NOTHING:
        return start
    for opens, closes in frames(calendar, start, start + FARTHEST):
        if work <= closes - opens:
            return opens + work
        work -= closes - opens
    raise ValueError("the calendar has not that much working time")


def working_time_between(calendar: Calendar, start: datetime, end: datetime) -> timedelta:
    """How much working time passed from `start` to `end`."""
    return sum((closes - opens for opens, closes in frames(calendar, start, end)), NOTHING)


def frames(calendar: Calendar, start: datetime, end: datetime) -> Iterator[Frame]:
    """The frames from `start` to `end` in UTC, in order, apart, cut at both ends."""
    since, end = start.astimezone(UTC), end.astimezone(UTC)
    while since < end:
        until, offset = _stretch(calendar.zone, since)
        until = min(until, end)
        yield from _local_frames(calendar, since, until, offset)
        since = until


def _local_frames(calendar: Calendar, since: datetime, until: datetime, offset: timedelta) -> Iterator[Frame]:
    day = (since + offset).date()
    while (midnight := datetime(day.year, day.month, day.day, tzinfo=UTC) - offset) < until:
        for first, last in () if day in calendar.holidays else calendar.week[day.weekday()]:
            opens, closes = midnight + timedelta(minutes=first), midnight + timedelta(minutes=last)
            if max(opens, since) < min(closes, until):
                yield max(opens, since), min(closes, until)
        day += DAY


def _stretch(zone: tzinfo, since: datetime) -> tuple[datetime, timedelta]:
    """Until when, at most a day, the zone keeps the offset that it has at `since`; and that offset."""
    offset = _offset(zone, since)
    if _offset(zone, since + DAY) == offset:
        return since + DAY, offset
    same, other = since, since + DAY
    while other - same > timedelta(microseconds=1):
        middle = same + (other - same) / 2
        if _offset(zone, middle) == offset:
            same = middle
        else:
            other = middle
    return other, offset


def _offset(zone: tzinfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or NOTHING
