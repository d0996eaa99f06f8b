"""The timers by which enrolments move: every step is taken behind the watermark, the first one included."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from perennial.common import timers
from perennial.common.db import WriteSession
from perennial.common.timers import timer_for

KIND = "step"


async def wake(session: WriteSession, due: Sequence[tuple[UUID, UUID, datetime]]) -> None:
    """Have enrolments (id, via, instant) take their next step."""
    await timers.schedule(session, [timer_for(via, KIND, str(enrolment), at) for enrolment, via, at in due])
