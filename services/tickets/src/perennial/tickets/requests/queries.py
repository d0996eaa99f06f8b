"""The SQL of tickets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, or_, select, text, tuple_

from perennial.common.db import ReadSession, WriteSession
from perennial.tickets.models import metadata
from perennial.tickets.requests.models import IN_WORK, Ticket, TicketHistory

_map = metadata.tables["identity_map"]

_SUMMARY = text("""
    SELECT count(*) AS total,
           count(*) FILTER (WHERE state IN ('open', 'waiting')) AS open,
           count(*) FILTER (WHERE state IN ('open', 'waiting') AND assignee IS NULL) AS unassigned,
           (SELECT count(DISTINCT ticket_id) FROM sla_clock WHERE breached_at IS NOT NULL) AS breached,
           count(score) AS rated, round(avg(score), 2) AS csat
    FROM ticket""")


@dataclass(frozen=True)
class Filters:
    """Which tickets a list holds; None: all."""

    customer: UUID | None = None
    stage: str | None = None
    type: str | None = None
    assignee: str | None = None
    open: bool | None = None


def _of_customer(any_id: UUID) -> ColumnElement[bool]:
    """Tickets of everything that is one customer today; what the map does not know yet stands for itself."""
    customer = select(_map.c.customer_id).where(_map.c.via == any_id).scalar_subquery()
    return or_(Ticket.via == any_id, Ticket.via.in_(select(_map.c.via).where(_map.c.customer_id == customer)))


async def page(session: ReadSession, filters: Filters, before: UUID | None, limit: int) -> Sequence[Ticket]:
    """Tickets, the newest first."""
    wanted = select(Ticket).order_by(Ticket.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(Ticket.id < before)
    if filters.customer is not None:
        wanted = wanted.where(_of_customer(filters.customer))
    for column, value in (
        (Ticket.stage, filters.stage),
        (Ticket.type, filters.type),
        (Ticket.assignee, filters.assignee),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if filters.open is not None:
        wanted = wanted.where(IN_WORK if filters.open else Ticket.state.in_(("resolved", "closed")))
    return (await session.execute(wanted)).scalars().all()


async def owned(session: ReadSession, ticket_id: UUID, any_id: UUID, *, locked: bool = False) -> Ticket | None:
    """A ticket, if it belongs to that customer."""
    wanted = select(Ticket).where(Ticket.id == ticket_id, _of_customer(any_id))
    if locked:
        wanted = wanted.with_for_update(of=Ticket).execution_options(populate_existing=True)
    return (await session.execute(wanted)).scalar_one_or_none()


async def waiting(session: WriteSession, after: tuple[int, UUID] | None, limit: int) -> Sequence[Ticket]:
    """Tickets that nobody has, the most urgent and then the oldest first; those that somebody changes are left out."""
    wanted = (
        select(Ticket)
        .where(Ticket.assignee.is_(None), IN_WORK)
        .order_by(Ticket.urgency, Ticket.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if after is not None:
        wanted = wanted.where(tuple_(Ticket.urgency, Ticket.id) > after)
    return (await session.execute(wanted)).scalars().all()


async def lock_free(session: WriteSession, ids: Sequence[UUID]) -> Sequence[Ticket]:
    """Those of the tickets that nobody is changing right now, locked."""
    wanted = select(Ticket).where(Ticket.id.in_(ids)).order_by(Ticket.id).with_for_update(skip_locked=True)
    return (await session.execute(wanted.execution_options(populate_existing=True))).scalars().all()


async def known(session: ReadSession, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the tickets that exist."""
    return set((await session.execute(select(Ticket.id).where(Ticket.id.in_(ids)))).scalars())


async def history(
    session: ReadSession, ticket_id: UUID, after: int, limit: int, *, public: bool = False
) -> Sequence[TicketHistory]:
    """What happened to a ticket, the oldest first."""
    wanted = select(TicketHistory).where(TicketHistory.ticket_id == ticket_id, TicketHistory.id > after)
    if public:
        wanted = wanted.where(TicketHistory.public)
    return (await session.execute(wanted.order_by(TicketHistory.id).limit(limit))).scalars().all()


async def summary(session: ReadSession) -> Row[Any]:
    """All tickets together."""
    return (await session.execute(_SUMMARY)).one()


async def by_stage(session: ReadSession) -> dict[str, int]:
    """How many tickets stand in each stage."""
    rows = await session.execute(text("SELECT stage, count(*) FROM ticket GROUP BY stage ORDER BY stage"))
    return {row[0]: row[1] for row in rows}
