"""Time in buckets: where an event falls, which buckets a window covers, and when that changes.

A rolling window moves in steps: by the hour up to 31 days, by the day (UTC) beyond. It begins with the step in which
`now - window` lies, so it is up to one step longer than asked and never shorter. Calendar windows and windows over
orders are exact. Events of the future count once their bucket has begun; without a window they count at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

EVER = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING, END = datetime(3, 1, 1, tzinfo=UTC), datetime(9997, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

Bucket = Callable[[datetime], datetime]


@dataclass(frozen=True, slots=True)
class Window:
    """The buckets from `since` to `until` count; `leaves` says when one of them does so no more."""

    since: datetime
    until: datetime
    leaves: Callable[[datetime], datetime] | None = None


def bucket_of(by: str, zone: tzinfo) -> Bucket:
    """A function from an instant to the bucket it falls in."""
    if by.startswith("calendar:"):
        unit = by.removeprefix("calendar:")
        return lambda at: unit_start(at, unit, zone)
    return {"ever": lambda _: EVER, "month": _month, "hour": _hour, "day": _day}[by]


def window(by: str, span: timedelta | None, zone: tzinfo, now: datetime) -> Window:
    """The buckets that count now."""
    if by.startswith("calendar:"):
        unit = by.removeprefix("calendar:")
        return Window(unit_start(now, unit, zone), now, lambda at: unit_end(at, unit, zone))
    if span is None:
        return Window(BEGINNING, END)
    step = HOUR if by == "hour" else DAY
    return Window(_earlier(bucket_of(by, zone), now, span), now, lambda at: _later(at, step + span))


def exactly(span: timedelta | None, unit: str | None, zone: tzinfo, now: datetime) -> Window:
    """The same for what is known to the instant."""
    if unit is not None:
        return window(f"calendar:{unit}", None, zone, now)
    if span is None:
        return Window(BEGINNING, END)
    begins = _earlier(lambda at: at, now, span)
    return Window(begins + timedelta(microseconds=1), now, lambda at: _later(at, span))


def unit_start(at: datetime, unit: str, zone: tzinfo) -> datetime:
    """When the calendar unit around an instant begins, in UTC; weeks begin on Monday."""
    midnight = min(max(at, BEGINNING), END).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if unit == "week":
        midnight -= timedelta(days=midnight.weekday())
    elif unit == "month":
        midnight = midnight.replace(day=1)
    elif unit == "year":
        midnight = midnight.replace(month=1, day=1)
    return midnight.astimezone(UTC)


def unit_end(at: datetime, unit: str, zone: tzinfo) -> datetime:
    """When the next one begins."""
    beyond = {"day": 36, "week": 7 * 24 + 12, "month": 32 * 24, "year": 367 * 24}[unit]
    return unit_start(unit_start(at, unit, zone) + timedelta(hours=beyond), unit, zone)


def _month(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _day(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _earlier(begin: Bucket, now: datetime, span: timedelta) -> datetime:
    return BEGINNING if now - BEGINNING < span else begin(now - span)


def _later(at: datetime, span: timedelta) -> datetime:
    return END if END - at < span else at + span
