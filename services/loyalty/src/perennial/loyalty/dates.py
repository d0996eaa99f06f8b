"""Calendar arithmetic."""

import calendar
from datetime import datetime


def add_months(at: datetime, months: int) -> datetime:
    """The same day so many months later, or the last of that month."""
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)
