"""Who is on which step of which version of a journey."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from perennial.campaigns.metadata import Base

OPEN = text("ended_at IS NULL")


class Enrolment(Base):
    """One walk along one version. `via` is for ever; whose walk it is today, the map says.

    `since` is the instant from which an exit event counts: that of the event which began it. State: active (a step is
    due), waiting (at a wait, or a message on its way), completed, exited.
    """

    __tablename__ = "enrolment"
    __table_args__ = (
        ForeignKeyConstraint(["journey_id", "version"], ["journey_version.journey_id", "journey_version.version"]),
        Index("uq_enrolment_cause", "journey_id", "via", "cause_id", unique=True),
        Index("ix_enrolment_via", "via"),
        Index("ix_enrolment_open", "via", postgresql_where=OPEN),
        Index("ix_enrolment_journey_id_id", "journey_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    journey_id: Mapped[UUID]
    version: Mapped[int]
    via: Mapped[UUID]
    customer_id: Mapped[UUID] = mapped_column(comment="The customer when it began.")
    cause: Mapped[dict[str, Any]]
    cause_id: Mapped[UUID | None]
    since: Mapped[datetime]
    entered_at: Mapped[datetime]
    step: Mapped[str]
    state: Mapped[str]
    due_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    ended_by: Mapped[dict[str, Any] | None]


class EnrolmentStep(Base):
    """A step entered, and how it was left."""

    __tablename__ = "enrolment_step"

    enrolment_id: Mapped[UUID] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    entered_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    outcome: Mapped[str | None]


class RefusedEntry(Base):
    """Somebody who fulfilled a trigger and was not enrolled; kept for 30 days."""

    __tablename__ = "refused_entry"
    __table_args__ = (Index(None, "journey_id", "at"), Index(None, "via"), Index(None, "at"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    journey_id: Mapped[UUID]
    via: Mapped[UUID]
    reason: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
