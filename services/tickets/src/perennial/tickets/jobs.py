"""Time-driven work of tickets."""

from datetime import timedelta

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.tickets.dispatch.telling import TELL
from perennial.tickets.requests import service


async def dispatch(runtime: Runtime) -> None:
    """Give out tickets that wait: those that somebody was changing when an agent became free."""
    async with runtime.database.write() as session:
        await service.dispatch_waiting(session)


JOBS = (Job("dispatch", timedelta(minutes=1), dispatch), TELL)
