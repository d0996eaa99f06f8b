"""The verbs of calendars: make, replace, load."""

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession, lock
from perennial.common.problems import Conflict, NotFound
from perennial.common.web.etags import NEW, match
from perennial.tickets.calendars import queries
from perennial.tickets.calendars.definition import CalendarDefinition
from perennial.tickets.calendars.models import CalendarRow
from perennial.tickets.calendars.working import Calendar


async def find(session: ReadSession, key: str) -> CalendarRow:
    """The calendar in force. Raises NotFound."""
    found = await queries.newest(session, key)
    if found is None:
        raise NotFound(f"calendar: there is none called {key}", pointer="path/key")
    return found


async def load(session: ReadSession, key: str, version: int) -> Calendar:
    """The calendar that a clock began with."""
    row = await session.get_one(CalendarRow, (key, version))
    return CalendarDefinition.model_validate(row.definition).calendar()


async def create(session: WriteSession, who: Principal, key: str, definition: CalendarDefinition) -> CalendarRow:
    """A new calendar. Raises Conflict."""
    await lock(session, "tickets", "calendar", key)
    if await queries.newest(session, key) is not None:
        raise Conflict(f"key: there is a calendar called {key}", code="key_taken", pointer="/key")
    return await _add(session, who, key, 1, definition)


async def replace(
    session: WriteSession, who: Principal, key: str, expected: int | None, definition: CalendarDefinition
) -> CalendarRow:
    """A new version, or with NEW the first, for clocks that begin from now on. Raises NotFound, PreconditionFailed."""
    await lock(session, "tickets", "calendar", key)
    if expected == NEW and await queries.newest(session, key) is None:
        return await _add(session, who, key, 1, definition)
    before = await find(session, key)
    match(expected, before.version)
    return await _add(session, who, key, before.version + 1, definition)


async def _add(
    session: WriteSession, who: Principal, key: str, version: int, definition: CalendarDefinition
) -> CalendarRow:
    row = CalendarRow(key=key, version=version, definition=definition.model_dump(mode="json", by_alias=True))
    session.add(row)
    await session.flush()
    await audit.record(session, who, "calendar.written", key, {"version": version})
    return row
