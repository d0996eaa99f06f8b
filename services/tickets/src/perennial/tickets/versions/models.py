"""The columns of what is defined in versions; a version never changes, who began with one keeps to it."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from perennial.tickets.models import Base


class Definition(Base):
    """One version of a definition."""

    __abstract__ = True
    noun: ClassVar[str]

    key: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
