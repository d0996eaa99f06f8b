"""Quiet hours, where the customer lives."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from perennial.common.rules.calendar.zones import TRAITS


class _Deployment:
    """The zone for customers of whom none is known; set once when the process starts."""

    zone: tzinfo = UTC


def use_zone(zone: tzinfo) -> None:
    """Take over the deployment's zone."""
    _Deployment.zone = zone


def zone_of(traits: Mapping[str, object]) -> tzinfo:
    """The zone (IANA) that a customer's trait `timezone`, else `time_zone` names, else the deployment's."""
    named = (_named(said.strip()) for key in TRAITS if isinstance(said := traits.get(key), str))
    return next((zone for zone in named if zone is not None), _Deployment.zone)


@lru_cache(maxsize=1000)
def _named(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        return None


def quiet_until(now: datetime, zone: tzinfo, start: time | None, end: time | None) -> datetime | None:
    """The end (UTC) of the quiet hours in which `now` lies; None outside of them.

    Both bounds are local wall-clock times; the hours may pass midnight. Equal bounds are no quiet hours.
    """
    if start is None or end is None or start == end:
        return None
    local = now.astimezone(zone)
    clock = local.time().replace(tzinfo=None)
    if start < end:
        quiet, days = start <= clock < end, 0
    else:
        quiet, days = clock >= start or clock < end, 1 if clock >= start else 0
    if not quiet:
        return None
    day = local.date() + timedelta(days=days)
    ends = datetime.combine(day, end, zone).astimezone(UTC)
    # In the hour that autumn repeats, the first `end` may lie behind us.
    return ends if ends > now else datetime.combine(day, end.replace(fold=1), zone).astimezone(UTC)
