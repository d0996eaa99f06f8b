"""Tickets and their history."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from perennial.tickets.models import Base

IN_WORK = text("state IN ('open', 'waiting')")


class Ticket(Base):
    """A request of a customer, for ever under the identifier `via` that made it. `state` repeats its stage's."""

    __tablename__ = "ticket"
    __table_args__ = (
        Index("ix_ticket_via_id", "via", "id"),
        Index("ix_ticket_stage_id", "stage", "id"),
        Index("ix_ticket_assignee", "assignee", "id", postgresql_where=text("assignee IS NOT NULL")),
        Index("ix_ticket_in_work", "id", postgresql_where=IN_WORK),
        Index(
            "ix_ticket_waiting",
            "urgency",
            "id",
            postgresql_where=text("assignee IS NULL AND state IN ('open', 'waiting')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), unique=True)
    via: Mapped[UUID]
    type: Mapped[str]
    type_version: Mapped[int]
    subject: Mapped[str]
    description: Mapped[str]
    stage: Mapped[str]
    state: Mapped[str]
    priority: Mapped[str]
    urgency: Mapped[int] = mapped_column(SmallInteger)
    fields: Mapped[dict[str, Any]]
    team: Mapped[str | None]
    assignee: Mapped[str | None] = mapped_column(ForeignKey("agent.id"))
    dispatch_reason: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=0)
    opened_by: Mapped[str]
    opened_at: Mapped[datetime]
    first_response_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    resolution: Mapped[str | None]
    score: Mapped[int | None] = mapped_column(SmallInteger)
    score_comment: Mapped[str | None]
    rated_at: Mapped[datetime | None]

    @property
    def open(self) -> bool:
        """Whether somebody has to work on it."""
        return self.state in {"open", "waiting"}


class TicketHistory(Base):
    """What happened to a ticket and by whom; rows are only added. `public` ones the customer may see."""

    __tablename__ = "ticket_event"
    __table_args__ = (Index("ix_ticket_event_ticket_id", "ticket_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id"))
    at: Mapped[datetime]
    actor: Mapped[str]
    kind: Mapped[str]
    public: Mapped[bool]
    detail: Mapped[dict[str, Any]]
