"""Tickets as they are shown: with today's customer and their clocks."""

from collections.abc import Sequence
from typing import Any

from perennial.common import identity_map
from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.tickets.requests import masked
from perennial.tickets.requests.models import Ticket, TicketHistory
from perennial.tickets.requests.schemas import ClockOut, HistoryOut, MyTicketOut, RatingOut, TicketOut
from perennial.tickets.sla import queries as clocks
from perennial.tickets.sla.models import SlaClock
from perennial.tickets.types import service as types


def _common(ticket: Ticket) -> dict[str, Any]:
    rating = None
    if ticket.score is not None and ticket.rated_at is not None:
        rating = RatingOut(score=ticket.score, comment=ticket.score_comment, at=ticket.rated_at)
    columns = {column.name: getattr(ticket, column.name) for column in Ticket.__table__.columns}
    return {**columns, "open": ticket.open, "rating": rating}


def _seen(who: Principal, ticket: Ticket, form: masked.Form) -> dict[str, Any]:
    columns = masked.ticket(who, form, _common(ticket))
    rating: RatingOut | None = columns["rating"]
    if rating is not None:
        rating = rating.model_copy(update={"comment": columns["score_comment"]})
    return {**columns, "rating": rating}


async def events(
    session: ReadSession, who: Principal, ticket: Ticket, lines: Sequence[TicketHistory]
) -> list[HistoryOut]:
    """A ticket's history for staff, as far as they may see it."""
    version = (ticket.type, ticket.type_version)
    form = (await types.forms_of(session, [version]))[version]
    shown = [HistoryOut.model_validate(line, from_attributes=True) for line in lines]
    return [item.model_copy(update={"detail": masked.event(who, form, item.kind, item.detail)}) for item in shown]


def own(tickets: Sequence[Ticket]) -> list[MyTicketOut]:
    """For their customer."""
    return [MyTicketOut.model_validate(_common(ticket)) for ticket in tickets]


async def full(session: ReadSession, who: Principal, tickets: Sequence[Ticket]) -> list[TicketOut]:
    """For staff, as far as they may see it."""
    forms = await types.forms_of(session, [(ticket.type, ticket.type_version) for ticket in tickets])
    owners = await identity_map.customers_of(session, [ticket.via for ticket in tickets])
    found = await clocks.clocks_of(session, [ticket.id for ticket in tickets])
    return [
        TicketOut.model_validate(
            {
                **_seen(who, ticket, forms[ticket.type, ticket.type_version]),
                **_clocks(found.get(ticket.id, [])),
                "customer_id": owners.get(ticket.via, ticket.via),
            }
        )
        for ticket in tickets
    ]


def _clocks(found: Sequence[SlaClock]) -> dict[str, Any]:
    due = {f"{clock.target}_due_at": clock.due_at for clock in found}
    return {
        "first_response_due_at": due.get("first_response_due_at"),
        "resolution_due_at": due.get("resolution_due_at"),
        "breached": any(clock.breached_at is not None for clock in found),
        "sla": [ClockOut.model_validate(clock, from_attributes=True) for clock in found],
    }
