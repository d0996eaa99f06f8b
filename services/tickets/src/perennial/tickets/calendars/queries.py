"""The SQL of calendars."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from perennial.common.db import ReadSession
from perennial.tickets.calendars.models import CalendarRow


async def newest(session: ReadSession, key: str) -> CalendarRow | None:
    """The version in force."""
    wanted = select(CalendarRow).where(CalendarRow.key == key).order_by(CalendarRow.version.desc()).limit(1)
    return (await session.execute(wanted)).scalar_one_or_none()


async def page(session: ReadSession, after: str, limit: int) -> Sequence[CalendarRow]:
    """The version in force of each calendar, by key."""
    wanted = (
        select(CalendarRow)
        .where(CalendarRow.key > after)
        .ext(distinct_on(CalendarRow.key))
        .order_by(CalendarRow.key, CalendarRow.version.desc())
        .limit(limit)
    )
    return (await session.execute(wanted)).scalars().all()
