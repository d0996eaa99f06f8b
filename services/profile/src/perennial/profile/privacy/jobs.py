"""Time-driven work: legal holds run out, receipts that do not come are asked for."""

from datetime import timedelta

import structlog

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.profile.privacy import service

log = structlog.get_logger()


async def begin_held(runtime: Runtime) -> None:
    """Begin the erasures whose hold is over."""
    begun = 1
    while begun and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            begun = await service.begin_due(session)
        if begun:
            log.info("erasures.begun", count=begun)


async def ask_again(runtime: Runtime) -> None:
    """Ask for the receipts that have not come."""
    asked = 1
    while asked and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            asked = await service.ask_again(session)


ASK_AGAIN = Job("ask-for-receipts", timedelta(minutes=5), ask_again)
BEGIN_HELD = Job("begin-erasures", timedelta(hours=1), begin_held)
JOBS = (BEGIN_HELD, ASK_AGAIN)
