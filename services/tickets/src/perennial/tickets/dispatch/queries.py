"""The SQL of dispatch: rules, and agents with their loads."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, text, tuple_

from perennial.common.db import ReadSession, WriteSession
from perennial.tickets.dispatch.models import Agent, DispatchRule


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


async def lock_agents(session: WriteSession) -> Sequence[Agent]:
    """Every agent as it is now, locked, by id."""
    wanted = select(Agent).order_by(Agent.id).with_for_update(key_share=True)
    return (await session.execute(wanted.execution_options(populate_existing=True))).scalars().all()


async def loads(session: ReadSession) -> dict[str, int]:
    """How many tickets each agent who has any works on."""
    await session.flush()
    rows = await session.execute(
        text("""SELECT assignee, count(*) FROM ticket
                WHERE assignee IS NOT NULL AND state IN ('open', 'waiting') GROUP BY assignee""")
    )
    return {row[0]: row[1] for row in rows}
