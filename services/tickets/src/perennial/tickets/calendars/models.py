"""Calendars; a version never changes, a clock counts by the one that it began with."""

from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from perennial.tickets.models import Base


class CalendarRow(Base):
    """One version of a calendar."""

    __tablename__ = "calendar"

    key: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
