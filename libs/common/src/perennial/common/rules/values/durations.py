"""Exact ISO 8601 durations (`P90D`, `PT36H`): weeks to seconds; a month is no fixed length."""

import re
from datetime import timedelta

LONGEST = timedelta(days=36_500)
PATTERN = r"^P(?=[0-9T])([0-9]{1,9}W)?([0-9]{1,9}D)?(T(?=[0-9])([0-9]{1,9}H)?([0-9]{1,9}M)?([0-9]{1,9}S)?)?$"

_pattern = re.compile(PATTERN)
_UNITS = ("weeks", "days", None, "hours", "minutes", "seconds")


def parse_duration(text: str) -> timedelta:
    """Reads `P2W`, `P90D`, `PT12H30M`; ValueError for anything else and beyond 36,500 days."""
    found = _pattern.match(text)
    if not found or text.endswith("\n"):
        raise ValueError("must be an ISO 8601 duration of weeks, days, hours, minutes or seconds, such as P30D")
    parts = {unit: int(part[:-1]) for unit, part in zip(_UNITS, found.groups(), strict=True) if unit and part}
    try:
        duration = timedelta(**parts)
    except OverflowError:
        duration = timedelta.max
    if duration > LONGEST:
        raise ValueError(f"must be at most P{LONGEST.days}D")
    return duration


def format_duration(duration: timedelta | str) -> str:
    """The shortest spelling without weeks: `P90D`, `P1DT12H`, `PT0S`; an operand masked for showing as it is."""
    if isinstance(duration, str):
        return duration
    hours, rest = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    days = f"{duration.days}D" if duration.days else ""
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    return f"P{days}{'T' if time else ''}{time}" if days or time else "PT0S"
