"""Time-driven work of RFM: the loop that computes runs, and the daily look whether there was one."""

import asyncio
from datetime import timedelta

import structlog

from perennial.common import notify
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.segments.rfm.runs import service
from perennial.segments.rfm.runs.computing import compute_next

log = structlog.get_logger()

IDLE_SECONDS = 30.0


async def compute(runtime: Runtime) -> None:
    """Compute runs as they are wanted, for as long as the process lives; at its start its settings may be others."""
    looked = False
    while not runtime.stopping.is_set():
        runtime.beats[service.RUNS] = asyncio.get_running_loop().time()
        try:
            if not looked:
                await look(runtime)
                looked = True
            done = await compute_next(runtime.database)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("rfm.waiting", error=repr(error))
            else:
                log.exception("rfm.stuck")
            await runtime.pause(2)
            continue
        if not done:
            await notify.wait(runtime, service.RUNS, IDLE_SECONDS)


async def look(runtime: Runtime) -> None:
    """Want a run where the deployment has another currency now."""
    async with runtime.database.write() as session:
        await service.want_currency(session)


async def ensure(runtime: Runtime) -> None:
    """Want a run where there was none today."""
    async with runtime.database.write() as session:
        await service.want_first(session)


JOBS = (Job("rfm", timedelta(hours=24), ensure),)
