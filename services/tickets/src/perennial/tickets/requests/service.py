"""The verbs of tickets: open, move, close, comment, rate, hold to the promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from perennial.common import identity_map
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.tickets import TicketOpened, TicketRated
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict, NotFound, Unprocessable
from perennial.common.timers import Timer, schedule
from perennial.common.web.etags import match
from perennial.tickets.requests import queries
from perennial.tickets.requests.assigning import assign, dispatch, dispatch_waiting, keep
from perennial.tickets.requests.models import Ticket
from perennial.tickets.requests.stages import enter, follow
from perennial.tickets.requests.telling import Actor, note, tell, tell_late
from perennial.tickets.sla import queries as clocks
from perennial.tickets.sla import service as sla
from perennial.tickets.types import form
from perennial.tickets.types import service as types
from perennial.tickets.types.definition import Stage, TypeDefinition

URGENCY = {"urgent": 0, "high": 1, "normal": 2, "low": 3}
AGAIN = timedelta(seconds=1)

__all__ = ["assign", "dispatch_waiting"]


@dataclass(frozen=True)
class Request:
    """What somebody asks for."""

    type: str
    subject: str
    description: str
    priority: str | None
    fields: Mapping[str, Any]


async def via_of(session: ReadSession, customer_id: UUID) -> UUID:
    """The identifier under which staff open a ticket for a customer. Raises NotFound."""
    found = await identity_map.customer_of(session, customer_id)
    if found is None:
        raise NotFound(f"customer_id: there is no customer {customer_id}", pointer="/customer_id")
    return found


async def find(session: ReadSession, ticket_id: UUID, *, locked: bool = False) -> Ticket:
    """A ticket. Raises NotFound."""
    found = await session.get(Ticket, ticket_id, with_for_update=locked, populate_existing=locked)
    if found is None:
        raise NotFound("ticket: there is none with this id", pointer="path/ticket_id")
    return found


async def find_own(session: ReadSession, via: UUID, ticket_id: UUID, *, locked: bool = False) -> Ticket:
    """A ticket of the customer who asks; for everybody else there is none. Raises NotFound."""
    found = await queries.owned(session, ticket_id, via, locked=locked)
    if found is None:
        raise NotFound("ticket: there is none with this id", pointer="path/ticket_id")
    return found


async def open_ticket(session: WriteSession, via: UUID, request: Request, actor: Actor) -> Ticket:
    """A new ticket in its type's first stage, its clocks running, given to somebody who is free."""
    version, definition = await types.for_new_tickets(session, request.type)
    fields = form.check(definition.fields, request.fields)
    first, now = definition.stages[0], utc_now()
    priority = request.priority or definition.priority
    ticket = Ticket(
        id=uuid7(), via=via, type=request.type, type_version=version, subject=request.subject,
        description=request.description, stage=first.key, state=first.state, priority=priority,
        urgency=URGENCY[priority], fields=fields, opened_by=actor.name, opened_at=now,
    )  # fmt: skip
    session.add(ticket)
    await session.flush()
    await session.refresh(ticket)
    await _promise(session, ticket, definition)
    await follow(session, ticket, now, met=set())
    note(session, ticket, actor, now, "opened", {"type": ticket.type, "priority": priority}, public=True)
    await tell(session, ticket, TicketOpened, now)
    await dispatch(session, ticket)
    return ticket


async def _promise(session: WriteSession, ticket: Ticket, definition: TypeDefinition) -> None:
    targets = definition.sla.get(ticket.priority)  # type: ignore[call-overload]
    if targets is not None:
        promised = {sla.FIRST_RESPONSE: targets.first_response, sla.RESOLUTION: targets.resolution}
        await sla.promise(session, ticket.id, promised, definition.calendar, targets.reopen)


async def move(
    session: WriteSession, ticket: Ticket, to: str, actor: Actor, *, why: str | None, resolution: str | None
) -> None:
    """Take a locked ticket to another stage. Raises Unprocessable and Conflict for one that may not follow."""
    definition = await types.load(session, ticket.type, ticket.type_version)
    stage = definition.stage(to)
    if stage is None:
        known = ", ".join(stage.key for stage in definition.stages)
        raise Unprocessable(f"to: {ticket.type} has the stages {known}", code="unknown_stage", pointer="/to")
    await _step(session, ticket, definition, stage, actor, why=why, resolution=resolution)


async def close(session: WriteSession, ticket: Ticket, resolution: str, actor: Actor) -> None:
    """End a locked ticket for good. Raises Conflict when it may not be closed from where it stands."""
    definition = await types.load(session, ticket.type, ticket.type_version)
    following = _following(definition, ticket)
    stage = next((stage for stage in definition.closing if stage.key in following), definition.closing[0])
    await _step(session, ticket, definition, stage, actor, why=None, resolution=resolution)


def _following(definition: TypeDefinition, ticket: Ticket) -> Sequence[str]:
    current = definition.stage(ticket.stage)
    return current.next if current is not None else []


async def _step(
    session: WriteSession,
    ticket: Ticket,
    definition: TypeDefinition,
    stage: Stage,
    actor: Actor,
    *,
    why: str | None,
    resolution: str | None,
) -> None:
    following = _following(definition, ticket)
    if stage.key not in following:
        allowed = ", ".join(following) or "nothing"
        raise Conflict(
            f"to: after {ticket.stage} may come {allowed}", code="transition_not_allowed", pointer="/to"
        )  # fmt: skip
    if resolution is not None and not stage.ended:
        raise Unprocessable("resolution: the ticket goes on", code="resolution_too_early", pointer="/resolution")
    if stage.state == "closed" and not (resolution or ticket.resolution):
        raise Unprocessable("resolution: is required to close", code="resolution_required", pointer="/resolution")
    ticket.resolution = resolution or ticket.resolution
    await change_stage(session, ticket, stage, actor, why=why)


async def change_stage(
    session: WriteSession, ticket: Ticket, stage: Stage, actor: Actor, *, why: str | None = None
) -> None:
    """Enter a stage, with what it means for the agents: one becomes free, or is needed again."""
    was_open = ticket.open
    await enter(session, ticket, stage, actor, utc_now(), why=why)
    if ticket.open and not was_open:
        await keep(session, ticket)
    elif was_open and not ticket.open:
        await dispatch_waiting(session)


async def comment(session: WriteSession, ticket: Ticket, text: str, actor: Actor, *, public: bool) -> None:
    """Add a comment to a locked ticket; staff's first public one is the response, a customer's may wake the ticket."""
    now = utc_now()
    note(session, ticket, actor, now, "commented", {"text": text}, public=public)
    if actor.kind == "staff" and public and ticket.first_response_at is None:
        ticket.first_response_at = now
        ticket.version += 1
        await follow(session, ticket, now, met={sla.FIRST_RESPONSE})
    elif actor.kind == "customer":
        definition = await types.load(session, ticket.type, ticket.type_version)
        current = definition.stage(ticket.stage)
        if current is not None and current.answered is not None:
            stage = definition.stage(current.answered)
            assert stage is not None  # noqa: S101 (checked when the type was written)
            await change_stage(session, ticket, stage, actor)
    await session.flush()


async def rate(session: WriteSession, ticket: Ticket, score: int, text: str | None, actor: Actor) -> None:
    """Keep the customer's score of a locked ticket, one an end. Raises Conflict before it and the second time."""
    if ticket.open:
        raise Conflict(f"stage: a ticket that is {ticket.stage} is not rated yet", code="not_ended")
    if ticket.score is not None and not _ended_since(ticket):
        raise Conflict(f"score: the ticket was rated {ticket.score}", code="already_rated", pointer="/score")
    now = utc_now()
    ticket.score, ticket.score_comment, ticket.rated_at = score, text, now
    note(session, ticket, actor, now, "rated", {"score": score}, public=True)
    await tell(session, ticket, TicketRated, now, score=score)


def _ended_since(ticket: Ticket) -> bool:
    """Whether a ticket was opened again after its rating, and has ended anew."""
    return ticket.rated_at is not None and ticket.resolved_at is not None and ticket.rated_at < ticket.resolved_at


async def dispatch_again(session: WriteSession, ticket: Ticket) -> None:
    """Let the rules decide about a locked ticket that nobody has. Raises Conflict for any other."""
    if not ticket.open or ticket.assignee is not None:
        raise Conflict("assignee: only an open ticket that nobody has is dispatched", code="not_waiting")
    await dispatch(session, ticket)


def unchanged(ticket: Ticket, seen: int | None) -> None:
    """Raises PreconditionFailed when the client has seen another version."""
    match(seen, ticket.version)


async def hold_to_promise(session: WriteSession, due: list[Timer]) -> None:
    """Clocks have run out: say so once. A ticket that somebody is changing right now is looked at a moment later."""
    ids = {timer.key: UUID(timer.key.split(":", 1)[0]) for timer in due}
    free = {ticket.id: ticket for ticket in await queries.lock_free(session, list(set(ids.values())))}
    busy = await queries.known(session, list(set(ids.values()) - free.keys()))
    now = max([utc_now(), *(timer.due_at for timer in due)])
    again = [replace(timer, due_at=now + AGAIN) for timer in due if ids[timer.key] in busy]
    await schedule(session, again)
    found = await clocks.clocks_of(session, free)
    for ticket_id, ticket in free.items():
        await tell_late(session, ticket, sla.run_out(found.get(ticket_id, []), now), now)
    await session.flush()
