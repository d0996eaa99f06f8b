"""Work behind definitions: counting the past, serving what is ready, clearing away what no window reaches."""

from datetime import UTC, datetime, timedelta

import structlog

from perennial.common import notify
from perennial.common.db import WriteSession
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.profile.computed import backfill, definitions, prune
from perennial.profile.computed.service import BUILDS

log = structlog.get_logger()

IDLE_SECONDS = 30.0


async def build_once(session: WriteSession) -> bool:
    """One step of what is to be done; whether there was anything."""
    if await backfill.advance(session):
        return True
    settled = await definitions.settle(session)
    if settled:
        log.info("computed_traits.settled", keys=settled)
        return True
    return await definitions.drop_unused(session) > 0


async def build(runtime: Runtime) -> None:
    """Do it for as long as the process lives."""
    while not runtime.stopping.is_set():
        runtime.beat(BUILDS)
        try:
            async with runtime.database.write() as session:
                done = await build_once(session)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("computed.waiting", error=repr(error))
            else:
                log.exception("computed.failed")
            await runtime.pause(2)
            continue
        if not done:
            await notify.wait(runtime, BUILDS, IDLE_SECONDS)


async def clear(runtime: Runtime) -> None:
    """Delete aggregates that nothing can ask for any more, in small transactions."""
    deleted = 1
    while deleted and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            deleted = await prune.prune(session, datetime.now(UTC))


JOBS = (Job("computed", timedelta(hours=6), clear),)
