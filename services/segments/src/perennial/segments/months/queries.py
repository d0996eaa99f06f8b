"""The SQL of months; what makes and drops them are functions of the owner's."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession


async def divide(session: WriteSession) -> bool:
    """Divide what was one table, an hour after the upgrade that wants it; whether it was."""
    return bool((await session.execute(text("SELECT divide_events()"))).scalar_one())


async def wanted(session: ReadSession) -> list[date]:
    """The months to make: this one and the next, and those of events that lie in none."""
    return list((await session.execute(text("SELECT wanted_event_months()"))).scalars())


async def make(session: WriteSession, month: date) -> bool:
    """Make a month, and move there what lies in none; whether it was missing.

    Raises DBAPIError (lock_not_available) when readers or writers did not let go.
    """
    return bool((await session.execute(text("SELECT make_event_month(:month)"), {"month": month})).scalar_one())


async def drop(session: WriteSession, keep: timedelta) -> str | None:
    """Drop the oldest month all of which is older than `keep`, and return its name.

    Raises DBAPIError (lock_not_available) when readers or writers did not let go of it.
    """
    name: str | None = (await session.execute(text("SELECT drop_event_month(:keep)"), {"keep": keep})).scalar_one()
    return name


async def complete_since(session: ReadSession) -> datetime | None:
    """Events before it have been dropped; None: none has."""
    found = await session.execute(text("SELECT complete_since FROM event_keeping"))
    return found.scalar_one_or_none()


async def rules(session: ReadSession) -> Sequence[Row[Any]]:
    """The rules of segments that are not archived: the newest and the one that serves."""
    return (await session.execute(text("SELECT rule, serving_rule FROM segment WHERE state <> 'archived'"))).all()
