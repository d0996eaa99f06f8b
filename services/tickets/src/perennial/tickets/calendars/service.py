"""The verbs of calendars: find the one in force, load the one that a clock began with."""

from perennial.common.db import ReadSession
from perennial.tickets.calendars.definition import CalendarDefinition
from perennial.tickets.calendars.models import CalendarRow
from perennial.tickets.calendars.working import Calendar
from perennial.tickets.versions import service as versions


async def find(session: ReadSession, key: str) -> CalendarRow:
    """The calendar in force. Raises NotFound."""
    return await versions.find(session, CalendarRow, key)


async def load(session: ReadSession, key: str, version: int) -> Calendar:
    """The calendar that a clock began with."""
    row = await session.get_one(CalendarRow, (key, version))
    return CalendarDefinition.model_validate(row.definition).calendar()
