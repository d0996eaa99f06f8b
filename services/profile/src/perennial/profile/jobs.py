"""Time-driven work: the timeline's next months, and those that are kept no longer."""

from datetime import UTC, date, datetime, timedelta

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.profile.timeline import kinds, queries
from perennial.profile.timeline.retention.jobs import drop_months

AHEAD = 2


def coming(today: date) -> list[date]:
    """The first day of this month and of the next ones."""
    months = [today.year * 12 + today.month - 1 + ahead for ahead in range(AHEAD + 1)]
    return [date(month // 12, month % 12 + 1, 1) for month in months]


async def make_months(runtime: Runtime) -> None:
    """Create the partitions of the months to come, so that no writer has to."""
    now = datetime.now(UTC)
    async with runtime.database.write() as session:
        await queries.ensure_parts(
            session, {(month, name): now for month in coming(now.date()) for name in kinds.CLASSES}
        )


JOBS = (
    Job("months", timedelta(hours=12), make_months),
    Job("retention", timedelta(hours=12), drop_months),
)
