"""The timers by which enrolments move: every step is taken behind the watermark, the first one included."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from perennial.common import timers
from perennial.common.db import WriteSession
from perennial.common.timers import timer_for

KIND = "step"
_DUE = text("""
    UPDATE enrolment AS e SET due_at = x.due_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:dues AS timestamptz[])) AS x(id, due_at)
    WHERE e.id = x.id AND e.ended_at IS NULL""")


async def wake(session: WriteSession, due: Sequence[tuple[UUID, UUID, datetime]]) -> None:
    """Have enrolments (id, via, instant) take their next step."""
    await timers.schedule(session, [timer_for(via, KIND, str(enrolment), at) for enrolment, via, at in due])


async def again(session: WriteSession, due: Sequence[tuple[UUID, UUID, datetime]]) -> None:
    """The same for those who wait for a message: the enrolment itself says when it goes on."""
    if due:
        await session.execute(_DUE, {"ids": [row[0] for row in due], "dues": [row[2] for row in due]})
        await wake(session, due)
