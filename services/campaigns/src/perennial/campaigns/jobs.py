"""What time alone makes superfluous."""

from datetime import timedelta

from perennial.campaigns.enrolments.queries import sweep_refusals
from perennial.campaigns.facts.queries import sweep_events
from perennial.common.runtime import Runtime
from perennial.common.service import Job

CHUNK = 5000


async def forget(runtime: Runtime) -> None:
    """Delete events that no journey reads any more and refusals of 30 days ago, in small transactions."""
    for sweep in (sweep_events, sweep_refusals):
        deleted = CHUNK
        while deleted == CHUNK and not runtime.stopping.is_set():
            async with runtime.database.write() as session:
                deleted = await sweep(session, CHUNK)


FORGET = Job("forget", timedelta(hours=1), forget)
