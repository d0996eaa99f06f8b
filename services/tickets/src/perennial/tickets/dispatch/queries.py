"""The SQL of dispatch rules."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, tuple_

from perennial.common.db import ReadSession
from perennial.tickets.dispatch.models import DispatchRule


async def enabled(session: ReadSession) -> Sequence[DispatchRule]:
    """The rules in force, in order."""
    wanted = select(DispatchRule).where(DispatchRule.enabled).order_by(DispatchRule.position, DispatchRule.id)
    return (await session.execute(wanted)).scalars().all()


async def every(session: ReadSession) -> Sequence[DispatchRule]:
    """All rules, in force or not."""
    return (await session.execute(select(DispatchRule).order_by(DispatchRule.id))).scalars().all()


async def page(session: ReadSession, after: tuple[int, UUID] | None, limit: int) -> Sequence[DispatchRule]:
    """Rules in order."""
    wanted = select(DispatchRule).order_by(DispatchRule.position, DispatchRule.id).limit(limit)
    if after is not None:
        wanted = wanted.where(tuple_(DispatchRule.position, DispatchRule.id) > after)
    return (await session.execute(wanted)).scalars().all()


async def last_position(session: ReadSession) -> int:
    """The position of the last rule; 0 when there is none."""
    return (await session.execute(select(func.coalesce(func.max(DispatchRule.position), 0)))).scalar_one()


async def count(session: ReadSession) -> int:
    """How many rules there are."""
    return (await session.execute(select(func.count()).select_from(DispatchRule))).scalar_one()
