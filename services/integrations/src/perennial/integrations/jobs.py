"""Time-driven work of integrations."""

from datetime import timedelta

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.integrations import queries

KEEP_DAYS = 30


async def forget(runtime: Runtime) -> None:
    """Drop what is older than the log is kept."""
    async with runtime.database.write() as session:
        await queries.forget(session, KEEP_DAYS)


JOBS = (Job("forget", timedelta(hours=6), forget),)
