"""Time-driven work: each job in one worker at a time."""

import asyncio

import asyncpg
import structlog

from perennial.common.db.locks import lock_key
from perennial.common.failures import is_infrastructure
from perennial.common.housekeeping import SWEEP
from perennial.common.runtime import Runtime
from perennial.common.service import Job

log = structlog.get_logger()

FIRST_SECONDS = 120.0


def jobs_of(runtime: Runtime) -> list[Job]:
    """A service's jobs, and the sweeping that all share."""
    return [*runtime.service.jobs, SWEEP]


async def run_once(runtime: Runtime, job: Job) -> bool:
    """Run a job unless another worker is at it; whether it ran."""
    connection: asyncpg.Connection = await runtime.database.listen_connection()
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_key(runtime.name, "job", job.name)):
            return False
        await job.run(runtime)
        return True
    finally:
        await connection.close(timeout=2)


async def loop(runtime: Runtime, job: Job) -> None:
    """Run a job every so often for as long as the process lives; the first time soon after the start.

    A process that is restarted daily would otherwise never come to what is done daily.
    """
    pause = min(job.every.total_seconds(), FIRST_SECONDS)
    while not await runtime.pause(pause):
        pause = job.every.total_seconds()
        try:
            await run_once(runtime, job)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("job.waiting", job=job.name, error=repr(error))
            else:
                log.exception("job.failed", job=job.name)


async def loops(runtime: Runtime) -> None:
    """All jobs of the service."""
    async with asyncio.TaskGroup() as group:
        for job in jobs_of(runtime):
            group.create_task(loop(runtime, job))
