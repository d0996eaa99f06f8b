"""Routes of tickets for the customer in person."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from perennial.common.auth import CustomerVia
from perennial.common.db import WriteSession
from perennial.common.web import Idempotent, Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import last_id, last_number
from perennial.common.web.etags import tag
from perennial.common.web.idempotency import Once, run
from perennial.tickets.requests import queries, service, shown
from perennial.tickets.requests.models import Ticket
from perennial.tickets.requests.queries import Filters
from perennial.tickets.requests.schemas import MyComment, MyHistoryOut, MyTicketIn, MyTicketOut, Rating
from perennial.tickets.requests.service import Request
from perennial.tickets.requests.telling import Actor

router = APIRouter(prefix="/v1/me/tickets", tags=["me"])


def _actor(via: UUID) -> Actor:
    return Actor("customer", f"customer:{via}")


async def _out(session: WriteSession, ticket: Ticket) -> MyTicketOut:
    await session.flush()
    return shown.own([ticket])[0]


@router.post("", status_code=201, response_model=MyTicketOut, responses=documented(400, 409))
async def create_my_ticket(body: MyTicketIn, session: Write, via: CustomerVia, once: Idempotent) -> Response:
    """Ask for something."""

    async def create() -> MyTicketOut:
        request = Request(**body.model_dump(), priority=None)
        return await _out(session, await service.open_ticket(session, via, request, _actor(via)))

    return await once.run(session, create, location="/v1/me/tickets/{id}", etag="{version}")


@router.get("", responses=documented(400))
async def list_my_tickets(
    page: PageQuery, session: Read, via: CustomerVia, open: Annotated[bool | None, Query()] = None
) -> Page[MyTicketOut]:
    """One's own tickets, the newest first."""
    rows = await queries.page(session, Filters(customer=via, open=open), last_id(page), page.limit + 1)
    return paged(shown.own(rows), page, lambda item: [item.id])


@router.get("/{ticket_id}", responses=documented(304, 404))
async def get_my_ticket(ticket_id: UUID, response: Response, session: Read, via: CustomerVia) -> MyTicketOut:
    """One of one's own tickets."""
    ticket = await service.find_own(session, via, ticket_id)
    tag(response, ticket.version)
    return shown.own([ticket])[0]


@router.get("/{ticket_id}/events", responses=documented(400, 404))
async def list_my_ticket_events(
    ticket_id: UUID, page: PageQuery, session: Read, via: CustomerVia
) -> Page[MyHistoryOut]:
    """What happened to it, comments included, the oldest first."""
    await service.find_own(session, via, ticket_id)
    rows = await queries.history(session, ticket_id, last_number(page) or 0, page.limit + 1, public=True)
    items = [MyHistoryOut.model_validate(row, from_attributes=True) for row in rows]
    return paged(items, page, lambda item: [item.id])


@router.post("/{ticket_id}/comments", response_model=MyTicketOut, responses=documented(404, 409))
async def comment_on_my_ticket(
    ticket_id: UUID, body: MyComment, session: Write, via: CustomerVia, once: Repeatable
) -> Response:
    """Add something; a ticket that waits for an answer goes on."""

    async def comment(ticket: Ticket) -> None:
        await service.comment(session, ticket, body.text, _actor(via), public=True)

    return await _changed(session, via, ticket_id, once, comment)


@router.post("/{ticket_id}/rating", response_model=MyTicketOut, responses=documented(404, 409))
async def rate_my_ticket(ticket_id: UUID, body: Rating, session: Write, via: CustomerVia, once: Repeatable) -> Response:
    """Say how it was, after the end, once for each end."""

    async def rate(ticket: Ticket) -> None:
        await service.rate(session, ticket, body.score, body.comment, _actor(via))

    return await _changed(session, via, ticket_id, once, rate)


async def _changed(
    session: WriteSession, via: UUID, ticket_id: UUID, once: Once | None, change: Callable[[Ticket], Awaitable[None]]
) -> Response:
    async def call() -> MyTicketOut:
        ticket = await service.find_own(session, via, ticket_id, locked=True)
        await change(ticket)
        return await _out(session, ticket)

    return await run(once, session, call, etag="{version}")
