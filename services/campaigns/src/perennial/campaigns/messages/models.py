"""Messages, sent or not."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from perennial.campaigns.metadata import Base

APPROVED = text("status = 'queued' AND approved_at IS NOT NULL")
TAKEN = text("status = 'sent' OR status = 'queued'")


class Message(Base):
    """One message of one step of one enrolment.

    `queued` with `approved_at` is for the sender to take, and with `leased_until` in its hands; without, it waits for
    the timer of its enrolment (quiet hours, a provider that did not answer).
    """

    __tablename__ = "message"
    __table_args__ = (
        Index(None, "enrolment_id", "step", unique=True),
        Index("ix_message_approved", "channel", "approved_at", postgresql_where=APPROVED),
        Index("ix_message_taken", "via", "channel", postgresql_where=TAKEN),
        Index("ix_message_journey_id_id", "journey_id", "id"),
        Index("ix_message_via_id", "via", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    enrolment_id: Mapped[UUID]
    journey_id: Mapped[UUID]
    version: Mapped[int]
    step: Mapped[str]
    via: Mapped[UUID]
    customer_id: Mapped[UUID] = mapped_column(comment="The customer when it was decided.")
    channel: Mapped[str]
    purpose: Mapped[str]
    format: Mapped[str]
    address: Mapped[str | None]
    subject: Mapped[str | None]
    body: Mapped[str | None]
    status: Mapped[str]
    reason: Mapped[str | None]
    detail: Mapped[dict[str, Any] | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    approved_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    provider_id: Mapped[str | None]
    settled_at: Mapped[datetime | None]
