"""The SQL of agents."""

from collections.abc import Sequence

from sqlalchemy import select

from perennial.common.db import ReadSession
from perennial.tickets.dispatch.models import Agent


async def page(session: ReadSession, after: str, limit: int) -> Sequence[Agent]:
    """Agents by id."""
    wanted = select(Agent).where(Agent.id > after).order_by(Agent.id).limit(limit)
    return (await session.execute(wanted)).scalars().all()
