"""Says every hour how much of each source was turned away, and how much of it waits."""

from datetime import UTC, datetime, time, timedelta

from sqlalchemy import func, select

from perennial.common.contracts.base import IntakeCount, IntakeGauge, utc_now
from perennial.common.contracts.gateway import IntakeMeasured
from perennial.common.db import ReadSession
from perennial.common.outbox import emit
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.gateway.sources.models import Source
from perennial.gateway.tracking.refusal import REJECTED
from perennial.gateway.violations.models import Violation, ViolationCount

RECENT = timedelta(days=2)
QUARANTINED = "quarantined"


async def measure(runtime: Runtime) -> None:
    """Totals of the last three days: said again, they change nothing."""
    async with runtime.database.write() as session:
        counts, waiting = await _counts(session, utc_now()), await _waiting(session)
        if counts or waiting:
            await emit(session, IntakeMeasured(counts=counts, waiting=waiting))


async def _counts(session: ReadSession, now: datetime) -> list[IntakeCount]:
    source, day, code = ViolationCount.source_id, ViolationCount.day, ViolationCount.code
    statement = (
        select(source, day, code, func.sum(ViolationCount.count))
        .where(day >= now.date() - RECENT, day <= now.date(), ViolationCount.outcome == REJECTED)
        .group_by(source, day, code)
        .order_by(source, day, code)
    )
    return [
        IntakeCount(
            source=row[0], hour=datetime.combine(row[1], time(), UTC), outcome=f"{REJECTED}:{row[2]}", count=int(row[3])
        )
        for row in await session.execute(statement)
    ]


async def _waiting(session: ReadSession) -> list[IntakeGauge]:
    waits = (Violation.source_id == Source.id, Violation.outcome == REJECTED, Violation.replayed_at.is_(None))
    number = select(func.count()).where(*waits).scalar_subquery()
    rows = await session.execute(select(Source.id, number).order_by(Source.id))
    return [IntakeGauge(source=row[0], name=QUARANTINED, value=row[1]) for row in rows]


MEASURE = Job("intake", timedelta(hours=1), measure)
