"""What tickets says: the life of a service request."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from perennial.common.contracts.base import CustomerId, ErasureReceipt, Event, RulesState, Version, Via, personal


class TicketEvent(Event):
    """What every fact about a ticket bears; `version` orders them."""

    ticket_id: UUID
    via: Via
    customer: CustomerId
    type: str
    stage: str
    open: bool
    priority: str
    version: Version


class TicketOpened(TicketEvent):
    """A customer or a member of staff asked for something."""

    subject: ClassVar[str] = "tickets.ticket.opened.v1"


class TicketAssigned(TicketEvent):
    """Dispatch, or a person, named who works on it; empty: whoever did works on it no more, and nobody follows."""

    subject: ClassVar[str] = "tickets.ticket.assigned.v1"

    assignee: str = personal("reference")


class TicketMoved(TicketEvent):
    """It entered another stage."""

    subject: ClassVar[str] = "tickets.ticket.moved.v1"

    previous: str


class TicketClosed(TicketEvent):
    """It ended."""

    subject: ClassVar[str] = "tickets.ticket.closed.v1"

    resolution: str = personal("text")


class TicketBreached(TicketEvent):
    """A service level was missed."""

    subject: ClassVar[str] = "tickets.ticket.breached.v1"

    target: str
    due_at: datetime


class TicketRated(TicketEvent):
    """The customer gave a score."""

    subject: ClassVar[str] = "tickets.ticket.rated.v1"

    score: int


class ErasureCompleted(ErasureReceipt):
    """What tickets held about a person is erased."""

    subject: ClassVar[str] = "tickets.erasure.completed.v1"


class RulesChanged(RulesState):
    """Dispatch rules that are new or another, and the segments that they ask for."""

    subject: ClassVar[str] = "tickets.rules.changed.v1"
