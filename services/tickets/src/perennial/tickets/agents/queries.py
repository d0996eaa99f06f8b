"""The SQL of agents."""

from collections.abc import Sequence

from sqlalchemy import select, text

from perennial.common.db import ReadSession, WriteSession
from perennial.tickets.agents.models import Agent


async def page(session: ReadSession, after: str, limit: int) -> Sequence[Agent]:
    """Agents by id."""
    wanted = select(Agent).where(Agent.id > after).order_by(Agent.id).limit(limit)
    return (await session.execute(wanted)).scalars().all()


async def lock_all(session: WriteSession) -> Sequence[Agent]:
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
