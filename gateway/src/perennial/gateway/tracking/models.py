"""Events that were turned away, with the reason."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from perennial.gateway.models import Base


class Violation(Base):
    """One rejected event; `raw` is its text, cut at 64 KiB."""

    __tablename__ = "violation"
    __table_args__ = (
        Index("ix_violation_source_id_id", "source_id", "id"),
        Index("ix_violation_at", "at", postgresql_using="brin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("source.id"))
    code: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    message_id: Mapped[str | None] = mapped_column(Text)
    raw: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
