"""Agents."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from perennial.tickets.models import Base


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
