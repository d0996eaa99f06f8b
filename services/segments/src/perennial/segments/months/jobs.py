"""Make the months to come, and drop those that are kept no longer."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar, cast

import structlog
from sqlalchemy.exc import DBAPIError

from perennial.common.db import WriteSession
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.segments.months import queries, service
from perennial.segments.settings import SegmentsSettings

log = structlog.get_logger()
T = TypeVar("T")

ATTEMPTS, PAUSE_SECONDS = 20, 3.0
LOCK_NOT_AVAILABLE = "55P03"


async def keep_months(runtime: Runtime) -> None:
    """Each month in a transaction of its own; one that is in use is tried again, and in an hour."""
    if await _try(runtime, queries.divide):
        log.info("events.divided")
    async with runtime.database.read() as session:
        wanted = await queries.wanted(session)
    for month in wanted:
        if await _try(runtime, partial(queries.make, month=month)):
            log.info("events.month", month=str(month))
    await drop_months(runtime)


async def drop_months(runtime: Runtime) -> None:
    """Whatever no rule looks back to."""
    least = timedelta(days=cast("SegmentsSettings", runtime.settings).event_days)
    async with runtime.database.read() as session:
        keep = await service.kept_for(session, least)
    while keep is not None and not runtime.stopping.is_set():
        name = await _try(runtime, partial(queries.drop, keep=keep))
        if name is None:
            return
        log.info("events.dropped", partition=name)


async def _try(runtime: Runtime, step: Callable[[WriteSession], Awaitable[T]]) -> T | None:
    """A step in a transaction of its own, until readers and writers have let go; None: they have not."""
    for _ in range(ATTEMPTS):
        try:
            async with runtime.database.write() as session:
                return await step(session)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
        if await runtime.pause(PAUSE_SECONDS):
            return None
    log.warning("events.busy")
    return None


JOBS = (Job("months", timedelta(hours=1), keep_months),)
