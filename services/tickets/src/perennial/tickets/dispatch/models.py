"""What dispatch decides by: its rules, and the agents."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from perennial.tickets.models import Base


class DispatchRule(Base):
    """Whom a ticket needs: the first rule in order that holds decides."""

    __tablename__ = "dispatch_rule"
    __table_args__ = (Index("ix_dispatch_rule_position", "position", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int]
    name: Mapped[str]
    rule: Mapped[dict[str, Any]]
    team: Mapped[str | None]
    skills: Mapped[list[str]]
    enabled: Mapped[bool]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Agent(Base):
    """Somebody who works on tickets: at most `capacity` open ones at a time, while online."""

    __tablename__ = "agent"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    team: Mapped[str | None]
    skills: Mapped[list[str]]
    capacity: Mapped[int]
    online: Mapped[bool]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
