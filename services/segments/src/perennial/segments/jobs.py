"""Time-driven work of segments: builds, the nightly reconciliation."""

import asyncio
from datetime import timedelta

import structlog

from perennial.common import notify
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.segments.definitions.service import BUILDS
from perennial.segments.memberships import service

log = structlog.get_logger()

IDLE_SECONDS = 30.0


async def build(runtime: Runtime) -> None:
    """Build segments as they are defined, for as long as the process lives."""
    while not runtime.stopping.is_set():
        runtime.beats[BUILDS] = asyncio.get_running_loop().time()
        try:
            async with runtime.database.write() as session:
                built = await service.build_next(session)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("builds.waiting", error=repr(error))
            else:
                log.exception("builds.failed")
            await runtime.pause(2)
            continue
        if not built:
            await notify.wait(runtime, BUILDS, IDLE_SECONDS)


async def reconcile(runtime: Runtime) -> None:
    """Compare memberships with what SQL says, and repair."""
    async with runtime.database.write() as session:
        await service.reconcile(session)


JOBS = (Job("reconcile", timedelta(hours=24), reconcile),)
