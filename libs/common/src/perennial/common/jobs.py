"""Time-driven work: each job in one worker at a time, and not again because a worker has started.

When a job ran last is kept in the table `job`, by the database's clock.
"""

import asyncio
import contextlib

import asyncpg
import structlog
from opentelemetry import metrics
from sqlalchemy import TextClause, text

from perennial.common.db.locks import lock_key
from perennial.common.failures import is_infrastructure
from perennial.common.housekeeping import SWEEP
from perennial.common.service import Job, ServiceRuntime

log = structlog.get_logger()
age = metrics.get_meter("perennial").create_gauge(
    "perennial.job.age", unit="s", description="Since a job last succeeded, or since the process waits for its first."
)

SOON_SECONDS = 20.0  # from the start to what is due, and at least between two runs
FIRST_SECONDS = 120.0  # from the start to what never ran, and from a failure to the next try
LONGEST_RETRY_SECONDS = 3600.0  # what fails again and again is tried less often
LOOK_SECONDS = 300.0

# A clock that was put back must not stop a job: what began in the future is due. A try that has not ended counts as
# failed: whether its process lives is a question for the lock.
_DUE = """
    CASE WHEN greatest(began_at, ended_at) > clock_timestamp() THEN clock_timestamp()
         WHEN tries = 0 THEN began_at + make_interval(secs => CAST(:every AS float))
         ELSE greatest(began_at, ended_at) + make_interval(secs => least(
             CAST(:every AS float), CAST(:first AS float) * 2 ^ least(tries - 1, 20), CAST(:longest AS float))) END"""
_LOOK = text(f"""
    SELECT extract(epoch FROM {_DUE} - clock_timestamp())::float AS away,
           extract(epoch FROM clock_timestamp() - succeeded_at)::float AS age
    FROM job WHERE name = :name""")  # noqa: S608 (ours)
_BEGIN = text("""
    INSERT INTO job AS j (name, began_at, tries) VALUES (:name, clock_timestamp(), 1)
    ON CONFLICT (name) DO UPDATE SET began_at = excluded.began_at, tries = j.tries + 1""")
_SUCCEEDED = text(
    "UPDATE job SET ended_at = clock_timestamp(), succeeded_at = clock_timestamp(), tries = 0 WHERE name = :name"
)
_FAILED = text("UPDATE job SET ended_at = clock_timestamp() WHERE name = :name")


def jobs_of(runtime: ServiceRuntime) -> list[Job]:
    """A service's jobs, and the sweeping that all share."""
    return [*runtime.service.jobs, SWEEP]


async def run_once(runtime: ServiceRuntime, job: Job, *, if_due: bool = False) -> bool:
    """Run a job unless another worker is at it; whether it ran. `if_due`: nor where another has run it just now."""
    connection: asyncpg.Connection = await runtime.database.listen_connection()
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_key(runtime.name, "job", job.name)):
            return False
        if if_due and (await _look(runtime, job) or (0.0, None))[0] > 0:
            return False
        await _run(runtime, job)
        return True
    finally:
        await connection.close(timeout=2)


async def loop(runtime: ServiceRuntime, job: Job) -> None:
    """Run a job whenever it is due, for as long as the process lives."""
    clock, every = asyncio.get_running_loop().time, job.every.total_seconds()
    began, pause = clock(), min(every, SOON_SECONDS)
    while not await runtime.pause(pause):
        pause = min(every, SOON_SECONDS)
        try:
            away = await _away(runtime, job, clock() - began)
            if away > 0:
                pause = min(away, LOOK_SECONDS)
            elif not await run_once(runtime, job, if_due=True):
                pause = min(every, FIRST_SECONDS)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("job.waiting", job=job.name, error=repr(error))
            else:
                log.exception("job.failed", job=job.name)


async def loops(runtime: ServiceRuntime) -> None:
    """All jobs of the service."""
    async with asyncio.TaskGroup() as group:
        for job in jobs_of(runtime):
            group.create_task(loop(runtime, job))


async def _away(runtime: ServiceRuntime, job: Job, waited: float) -> float:
    """Seconds until it is due, or none; `waited` since the process began to ask."""
    found = await _look(runtime, job)
    since = None if found is None else found[1]
    age.set(waited if since is None else since, {"job": job.name})
    return min(job.every.total_seconds(), FIRST_SECONDS) - waited if found is None else found[0]


async def _look(runtime: ServiceRuntime, job: Job) -> tuple[float, float | None] | None:
    """Seconds until it is due and since it last succeeded; None where it never ran."""
    bound = {"every": job.every.total_seconds(), "first": FIRST_SECONDS, "longest": LONGEST_RETRY_SECONDS}
    async with runtime.database.read() as session:
        row = (await session.execute(_LOOK, {"name": job.name, **bound})).one_or_none()
    return None if row is None else (row.away, None if row.age is None else max(0.0, row.age))


async def _run(runtime: ServiceRuntime, job: Job) -> None:
    await _note(runtime, job, _BEGIN)
    try:
        await job.run(runtime)
    except Exception:
        with contextlib.suppress(Exception):  # what the job raised says more
            await _note(runtime, job, _FAILED)
        raise
    if not runtime.stopping.is_set():  # else it may have been cut short
        await _note(runtime, job, _SUCCEEDED)


async def _note(runtime: ServiceRuntime, job: Job, statement: TextClause) -> None:
    async with runtime.database.write() as session:
        await session.execute(statement, {"name": job.name})
