"""Routes of tickets for staff and API keys."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from perennial.common import audit, masks
from perennial.common.auth import Principal, requires
from perennial.common.db import WriteSession
from perennial.common.web import Idempotent, Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import last_id, last_number
from perennial.common.web.etags import Seen, tag
from perennial.common.web.idempotency import Once, run
from perennial.common.web.reveal import Why, reveals
from perennial.tickets.requests import queries, service, shown
from perennial.tickets.requests.models import Ticket
from perennial.tickets.requests.queries import Filters
from perennial.tickets.requests.schemas import (
    Assign,
    Close,
    CommentIn,
    HistoryOut,
    Rating,
    RevealedOut,
    SummaryOut,
    TicketIn,
    TicketOut,
    Transition,
)
from perennial.tickets.requests.service import Request
from perennial.tickets.requests.telling import Actor
from perennial.tickets.texts import AgentId, Key

router = APIRouter(prefix="/v1/tickets", tags=["tickets"])
Reader = Annotated[Principal, Depends(requires("tickets:read"))]
Revealer = Annotated[Principal, Depends(reveals("tickets:read"))]
Writer = Annotated[Principal, Depends(requires("tickets:write"))]
MOST_REVEALED = 1000


def _actor(who: Principal) -> Actor:
    return Actor("staff", f"{who.kind}:{who.id}")


async def _out(session: WriteSession, who: Principal, ticket: Ticket) -> TicketOut:
    await session.flush()
    return (await shown.full(session, who, [ticket]))[0]


@router.post("", status_code=201, response_model=TicketOut, responses=documented(400, 404, 409))
async def create_ticket(body: TicketIn, session: Write, who: Writer, once: Idempotent) -> Response:
    """Open a ticket for a customer."""

    async def create() -> TicketOut:
        via = await service.via_of(session, body.customer_id)
        request = Request(**body.model_dump(exclude={"customer_id"}))
        return await _out(session, who, await service.open_ticket(session, via, request, _actor(who)))

    return await once.run(session, create, location="/v1/tickets/{id}", etag="{version}")


@router.get("", responses=documented(400))
async def list_tickets(
    page: PageQuery,
    session: Read,
    who: Reader,
    customer_id: UUID | None = None,
    stage: Key | None = None,
    type: Key | None = None,
    assignee: AgentId | None = None,
    open: Annotated[bool | None, Query()] = None,
) -> Page[TicketOut]:
    """Tickets, the newest first."""
    wanted = Filters(customer_id, stage, type, assignee, open)
    rows = await queries.page(session, wanted, last_id(page), page.limit + 1)
    return paged(await shown.full(session, who, rows), page, lambda item: [item.id])


@router.get("/summary")
async def get_summary(session: Read, who: Reader) -> SummaryOut:
    """All tickets together."""
    row = await queries.summary(session)
    csat = None if row.csat is None else str(row.csat)
    counts = {name: getattr(row, name) for name in ("total", "open", "unassigned", "breached", "rated")}
    return SummaryOut(by_state=await queries.by_stage(session), csat=csat, **counts)


@router.get("/{ticket_id}", responses=documented(304, 404))
async def get_ticket(ticket_id: UUID, response: Response, session: Read, who: Reader) -> TicketOut:
    """One ticket."""
    ticket = await service.find(session, ticket_id)
    tag(response, ticket.version)
    return (await shown.full(session, who, [ticket]))[0]


@router.get("/{ticket_id}/events", responses=documented(400, 404))
async def list_ticket_events(ticket_id: UUID, page: PageQuery, session: Read, who: Reader) -> Page[HistoryOut]:
    """Everything that happened to a ticket and why it was dispatched as it was, the oldest first."""
    ticket = await service.find(session, ticket_id)
    rows = await queries.history(session, ticket_id, last_number(page) or 0, page.limit + 1)
    return paged(await shown.events(session, who, ticket, rows), page, lambda item: [item.id])


@router.post("/{ticket_id}/reveal", responses=documented(404))
async def reveal_ticket(ticket_id: UUID, body: Why, session: Write, who: Revealer) -> RevealedOut:
    """One ticket and its history in clear; who asked and why stays in the audit trail."""
    ticket = await service.find(session, ticket_id)
    clear = replace(who, fields=frozenset({masks.EVERYTHING}))
    lines = await queries.history(session, ticket_id, 0, MOST_REVEALED)
    events = await shown.events(session, clear, ticket, lines)
    revealed = RevealedOut(**dict((await shown.full(session, clear, [ticket]))[0]), events=events)
    await audit.record(session, who, "ticket.revealed", str(ticket_id), {"reason": body.reason})
    return revealed


@router.post("/{ticket_id}/transition", response_model=TicketOut, responses=documented(404, 409, 412))
async def move_ticket(
    ticket_id: UUID, body: Transition, session: Write, who: Writer, seen: Seen, once: Repeatable
) -> Response:
    """Take a ticket to another stage."""

    async def move(ticket: Ticket) -> None:
        await service.move(session, ticket, body.to, _actor(who), why=body.note, resolution=body.resolution)

    return await _changed(session, who, ticket_id, seen, once, move)


@router.post("/{ticket_id}/assign", response_model=TicketOut, responses=documented(404, 409, 412))
async def assign_ticket(
    ticket_id: UUID, body: Assign, session: Write, who: Writer, seen: Seen, once: Repeatable
) -> Response:
    """Give a ticket to somebody, or let the rules decide."""

    async def assign(ticket: Ticket) -> None:
        if body.assignee is None:
            await service.dispatch_again(session, ticket)
        else:
            await service.assign(session, ticket, body.assignee, _actor(who), over_capacity=body.over_capacity)

    return await _changed(session, who, ticket_id, seen, once, assign)


@router.post("/{ticket_id}/close", response_model=TicketOut, responses=documented(404, 409, 412))
async def close_ticket(
    ticket_id: UUID, body: Close, session: Write, who: Writer, seen: Seen, once: Repeatable
) -> Response:
    """End a ticket for good."""

    async def close(ticket: Ticket) -> None:
        await service.close(session, ticket, body.resolution, _actor(who))

    return await _changed(session, who, ticket_id, seen, once, close)


@router.post("/{ticket_id}/rating", response_model=TicketOut, responses=documented(404, 409, 412))
async def rate_ticket(
    ticket_id: UUID, body: Rating, session: Write, who: Writer, seen: Seen, once: Repeatable
) -> Response:
    """Note the customer's score, after the end, once for each end."""

    async def rate(ticket: Ticket) -> None:
        await service.rate(session, ticket, body.score, body.comment, _actor(who))

    return await _changed(session, who, ticket_id, seen, once, rate)


@router.post("/{ticket_id}/comments", response_model=TicketOut, responses=documented(404, 409, 412))
async def comment_on_ticket(
    ticket_id: UUID, body: CommentIn, session: Write, who: Writer, seen: Seen, once: Repeatable
) -> Response:
    """Write to the customer, or among staff."""

    async def comment(ticket: Ticket) -> None:
        await service.comment(session, ticket, body.text, _actor(who), public=body.public)

    return await _changed(session, who, ticket_id, seen, once, comment)


async def _changed(
    session: WriteSession,
    who: Principal,
    ticket_id: UUID,
    seen: int | None,
    once: Once | None,
    change: Callable[[Ticket], Awaitable[None]],
) -> Response:
    async def call() -> TicketOut:
        ticket = await service.find(session, ticket_id, locked=True)
        service.unchanged(ticket, seen)
        await change(ticket)
        return await _out(session, who, ticket)

    return await run(once, session, call, etag="{version}")
