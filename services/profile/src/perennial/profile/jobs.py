"""Time-driven work: the timeline's next months."""

from datetime import UTC, date, datetime, timedelta

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.profile.timeline import queries

AHEAD = 2


def coming(today: date) -> list[date]:
    """The first day of this month and of the next ones."""
    months = [today.year * 12 + today.month - 1 + ahead for ahead in range(AHEAD + 1)]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


async def make_months(runtime: Runtime) -> None:
    """Create the partitions of the months to come, so that no writer has to."""
    async with runtime.database.write() as session:
        await queries.ensure_months(session, coming(datetime.now(UTC).date()))


JOBS = (Job("months", timedelta(hours=12), make_months),)
