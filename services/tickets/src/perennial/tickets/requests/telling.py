"""How a change of a ticket becomes known: a line of its history, and a fact with the next version."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from perennial.common import identity_map
from perennial.common.contracts.tickets import TicketBreached, TicketEvent
from perennial.common.db import WriteSession
from perennial.common.outbox import emit
from perennial.tickets.requests.models import Ticket, TicketHistory
from perennial.tickets.sla.models import SlaClock


@dataclass(frozen=True)
class Actor:
    """Who does something."""

    kind: Literal["staff", "customer", "system"]
    name: str


DISPATCH = Actor("system", "system:dispatch")
SLA = Actor("system", "system:sla")


def note(
    session: WriteSession,
    ticket: Ticket,
    actor: Actor,
    at: datetime,
    kind: str,
    detail: dict[str, Any],
    *,
    public: bool = False,
) -> TicketHistory:
    """Add a line of history."""
    line = TicketHistory(ticket_id=ticket.id, at=at, actor=actor.name, kind=kind, public=public, detail=detail)
    session.add(line)
    return line


async def tell(session: WriteSession, ticket: Ticket, contract: type[TicketEvent], at: datetime, **more: Any) -> None:
    """Say a fact about the ticket as it is now, with its next version."""
    ticket.version += 1
    await session.flush()
    customer = await identity_map.customer_of(session, ticket.via)
    fact = contract(
        occurred_at=at,
        ticket_id=ticket.id,
        via=ticket.via,
        customer=customer or ticket.via,
        type=ticket.type,
        stage=ticket.stage,
        open=ticket.open,
        priority=ticket.priority,
        version=ticket.version,
        **more,
    )
    await emit(session, fact)


async def tell_late(session: WriteSession, ticket: Ticket, late: list[SlaClock], at: datetime) -> None:
    """Say which promises were missed."""
    for clock in late:
        assert clock.due_at is not None  # noqa: S101 (a clock that rests cannot run out)
        note(session, ticket, SLA, at, "breached", {"target": clock.target, "due_at": clock.due_at.isoformat()})
        await tell(session, ticket, TicketBreached, at, target=clock.target, due_at=clock.due_at)
