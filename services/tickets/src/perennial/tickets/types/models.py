"""Ticket types; a version never changes, a ticket keeps to the one it was opened with."""

from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from perennial.tickets.models import Base


class TypeRow(Base):
    """One version of a ticket type."""

    __tablename__ = "ticket_type"

    key: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
