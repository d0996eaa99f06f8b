"""Calendars: a clock counts by the version that it began with."""

from perennial.tickets.versions.models import Definition


class CalendarRow(Definition):
    """One version of a calendar."""

    __tablename__ = "calendar"
    noun = "calendar"
