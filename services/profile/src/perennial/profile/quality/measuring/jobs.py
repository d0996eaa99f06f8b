"""Time-driven work on quality: each hour the day is measured anew."""

from datetime import timedelta

from perennial.common.contracts.base import utc_now
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.profile.quality.measuring import service


async def index_values(runtime: Runtime) -> None:
    """Index what should be unique, for rules that are new."""
    more = True
    while more and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            more = await service.fill(session)


async def measure(runtime: Runtime) -> None:
    """See what is usual, then measure: two transactions, each whole by itself."""
    await index_values(runtime)
    async with runtime.database.write() as session:
        await service.take_baselines(session, utc_now())
    async with runtime.database.write() as session:
        await service.measure(session, utc_now())


JOBS = (Job("quality-index", timedelta(minutes=1), index_values), Job("quality", timedelta(hours=1), measure))
