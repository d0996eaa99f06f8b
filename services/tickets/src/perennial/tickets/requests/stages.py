"""Entering a stage: what it means for times, clocks and facts."""

from datetime import datetime

from perennial.common.contracts.tickets import TicketClosed, TicketMoved
from perennial.common.db import WriteSession
from perennial.tickets.requests.models import Ticket
from perennial.tickets.requests.telling import Actor, note, tell, tell_late
from perennial.tickets.sla import service as sla
from perennial.tickets.types.definition import Stage


async def enter(
    session: WriteSession, ticket: Ticket, stage: Stage, actor: Actor, now: datetime, *, why: str | None = None
) -> None:
    """Move a locked ticket; whether it may is decided by who calls."""
    previous, reopened = ticket.stage, not ticket.open and not stage.ended
    ticket.stage, ticket.state = stage.key, stage.state
    met: set[str] = set()
    if stage.responds and actor.kind == "staff":
        met.add(sla.FIRST_RESPONSE)
        ticket.first_response_at = ticket.first_response_at or now
    if stage.ended:
        met |= {sla.FIRST_RESPONSE, sla.RESOLUTION}
        ticket.resolved_at = ticket.resolved_at or now
    if stage.state == "closed":
        ticket.closed_at = now
    if reopened:
        ticket.resolved_at = ticket.resolution = None
    await follow(session, ticket, now, met=met, reopened=reopened)
    note(session, ticket, actor, now, "moved", {"from": previous, "to": stage.key}, public=True)
    if why is not None:
        note(session, ticket, actor, now, "commented", {"text": why})
    await tell(session, ticket, TicketMoved, now, previous=previous)
    if stage.state == "closed":
        note(session, ticket, actor, now, "closed", {"resolution": ticket.resolution}, public=True)
        await tell(session, ticket, TicketClosed, now, resolution=ticket.resolution or "")


async def follow(
    session: WriteSession, ticket: Ticket, now: datetime, *, met: set[str], reopened: bool = False
) -> None:
    """Let the clocks follow the ticket, and say which of them turn out to have run out."""
    running = ticket.state == "open"
    late = await sla.follow(session, ticket.id, ticket.via, now, running=running, met=met, reopened=reopened)
    await tell_late(session, ticket, late, now)
