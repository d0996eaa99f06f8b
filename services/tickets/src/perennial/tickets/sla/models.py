"""Clocks of tickets, and the intervals in which they ran."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from perennial.tickets.models import Base


class SlaClock(Base):
    """One promise: so many minutes by a calendar. `due_at` is null while the clock rests."""

    __tablename__ = "sla_clock"

    ticket_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id"), primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    minutes: Mapped[int]
    reopen: Mapped[int]
    calendar: Mapped[str]
    calendar_version: Mapped[int]
    due_at: Mapped[datetime | None]
    met_at: Mapped[datetime | None]
    breached_at: Mapped[datetime | None]

    @property
    def running(self) -> bool:
        """Whether the promise can still be kept or broken."""
        return self.met_at is None and self.breached_at is None


class SlaInterval(Base):
    """When the clocks of a ticket ran; the last one has no end while they do."""

    __tablename__ = "sla_interval"
    __table_args__ = (
        Index("uq_sla_interval_open", "ticket_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_sla_interval_ticket_id", "ticket_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(ForeignKey("ticket.id"))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
