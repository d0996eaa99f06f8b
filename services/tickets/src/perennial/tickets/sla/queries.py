"""The SQL of service levels."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import select

from perennial.common.db import ReadSession
from perennial.tickets.sla.models import SlaClock, SlaInterval


async def clocks_of(session: ReadSession, tickets: Iterable[UUID]) -> dict[UUID, list[SlaClock]]:
    """The clocks of tickets, by target."""
    wanted = select(SlaClock).where(SlaClock.ticket_id.in_(list(tickets))).order_by(SlaClock.target)
    found: dict[UUID, list[SlaClock]] = {}
    for clock in (await session.execute(wanted)).scalars():
        found.setdefault(clock.ticket_id, []).append(clock)
    return found


async def intervals_of(session: ReadSession, ticket: UUID) -> Sequence[SlaInterval]:
    """When the clocks of a ticket ran, in order."""
    wanted = select(SlaInterval).where(SlaInterval.ticket_id == ticket).order_by(SlaInterval.id)
    return (await session.execute(wanted)).scalars().all()
