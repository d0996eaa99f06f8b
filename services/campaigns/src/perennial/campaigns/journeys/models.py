"""Journeys and their published versions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from perennial.campaigns.metadata import Base


class Journey(Base):
    """`definition` is the draft; what runs is the version named by `published_version`. `revision` is the ETag."""

    __tablename__ = "journey"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    state: Mapped[str]
    definition: Mapped[dict[str, Any]]
    revision: Mapped[int]
    published_version: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class JourneyVersion(Base):
    """What was published, for ever: the login role may only add."""

    __tablename__ = "journey_version"
    __table_args__ = (
        Index(None, "trigger_event"),
        Index(None, "trigger_segment"),
    )

    journey_id: Mapped[UUID] = mapped_column(ForeignKey("journey.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]]
    trigger_event: Mapped[str | None]
    trigger_segment: Mapped[UUID | None]
    exit_events: Mapped[list[str]]
    published_at: Mapped[datetime] = mapped_column(server_default=func.now())
    published_by: Mapped[str]
