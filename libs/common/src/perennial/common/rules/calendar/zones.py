"""Whose day it is: a customer's own time zone (the traits `timezone`, `time_zone`), else the deployment's."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from perennial.common.rules.view import View

TRAITS = ("timezone", "time_zone")  # the former speaks where both name a zone
UNSAID = frozenset({"Factory", "localtime", "posixrules"})

Localise = Callable[[View, datetime], datetime]

_day = timedelta(days=1)
# Within them no window and no duration leads to a year that there is not.
FIRST_YEAR, LAST_YEAR = 200, 9000


@lru_cache(maxsize=1)
def deployment_zone() -> tzinfo:
    """The zone of everybody who has none: the setting `timezone` of every process."""
    return ZoneInfo(os.environ.get("PERENNIAL_TIMEZONE", "UTC"))


@lru_cache(maxsize=1)
def known() -> Mapping[str, tzinfo]:
    """Every zone by its name, as the time zone database spells it."""
    return {name: ZoneInfo(name) for name in sorted(available_timezones() - UNSAID)}


def zone_of(traits: Mapping[str, object], default: tzinfo) -> tzinfo:
    """A customer's zone; a name that is no zone's counts for nothing."""
    for key in TRAITS:
        said = traits.get(key)
        if isinstance(said, str) and (zone := known().get(said)) is not None:
            return zone
    return default


def localiser(default: tzinfo | None) -> Localise:
    """A function that says a moment in a customer's zone."""
    fallback = default or deployment_zone()
    return lambda view, now: now.astimezone(zone_of(view.traits, fallback))


@lru_cache(maxsize=65_536)
def begins(day: date, zone: tzinfo) -> datetime:
    """The instant, in UTC, at which a day begins; where the clock skips midnight, the day begins with the skip."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def day_of(at: datetime, zone: tzinfo) -> date | None:
    """The last day that has begun: days follow one another even where a clock is put back over midnight.

    None at the ends of time, where zones cannot be told.
    """
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        return None
    day = at.astimezone(zone).date()
    while begins(day + _day, zone) <= at:
        day += _day
    while begins(day, zone) > at:
        day -= _day
    return day
