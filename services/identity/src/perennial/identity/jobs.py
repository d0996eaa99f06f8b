"""Time-driven work: partitions of decisions come ahead of their week and go when the horizon has passed them."""

from datetime import timedelta

import structlog

from perennial.common.contracts.base import utc_now
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.identity.decisions import queries
from perennial.identity.decisions.service import HORIZON, week_of

log = structlog.get_logger()

AHEAD = 2


async def turn_weeks(runtime: Runtime) -> None:
    """Create the partitions of this and the next two weeks; drop those in which all is older than 35 days."""
    now = utc_now()
    for week in range(week_of(now), week_of(now) + AHEAD + 1):
        async with runtime.database.write() as session:
            await queries.ensure_week(session, week)
    async with runtime.database.write() as session:
        dropped = await queries.drop_weeks(session, week_of(now - HORIZON))
    if dropped:
        log.info("decisions.dropped", partitions=dropped)


WEEKS = Job("decision-weeks", timedelta(hours=1), turn_weeks)
