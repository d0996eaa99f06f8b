"""Reading the versions of tracking plans."""

from collections.abc import Sequence

from sqlalchemy import func, select, tuple_

from perennial.common.db import ReadSession
from perennial.gateway.plans.models import TrackingPlan


async def version_of(session: ReadSession, source_id: str, version: int) -> TrackingPlan | None:
    """One version of a source's plan."""
    return await session.get(TrackingPlan, (source_id, version))


async def latest(session: ReadSession, source_id: str) -> int:
    """The highest version that a source's plan ever had; 0 when it never had one."""
    statement = select(func.max(TrackingPlan.version)).where(TrackingPlan.source_id == source_id)
    return (await session.execute(statement)).scalar_one() or 0


async def versions(session: ReadSession, source_id: str, limit: int, before: int | None) -> Sequence[TrackingPlan]:
    """The versions of a source's plan, newest first."""
    statement = select(TrackingPlan).where(TrackingPlan.source_id == source_id)
    if before is not None:
        statement = statement.where(TrackingPlan.version < before)
    return (await session.execute(statement.order_by(TrackingPlan.version.desc()).limit(limit))).scalars().all()


async def some(session: ReadSession, wanted: Sequence[tuple[str, int]]) -> Sequence[TrackingPlan]:
    """Certain versions of certain plans."""
    if not wanted:
        return []
    statement = select(TrackingPlan).where(tuple_(TrackingPlan.source_id, TrackingPlan.version).in_(wanted))
    return (await session.execute(statement)).scalars().all()
