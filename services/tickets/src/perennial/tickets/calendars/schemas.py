"""HTTP bodies of calendars."""

from perennial.tickets.calendars.definition import CalendarDefinition
from perennial.tickets.texts import Key


class CalendarIn(CalendarDefinition):
    """A new calendar."""

    key: Key


class CalendarOut(CalendarDefinition):
    """A calendar in force."""

    key: str
    version: int
