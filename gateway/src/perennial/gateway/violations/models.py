"""Events that broke a rule, and how many did."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, Text, false, func
from sqlalchemy.orm import Mapped, mapped_column

from perennial.gateway.models import Base
from perennial.gateway.tracking.refusal import REJECTED


class Violation(Base):
    """One event; `raw` is its text and `envelope` what its request said besides, `whole` when both can be replayed."""

    __tablename__ = "violation"
    __table_args__ = (
        CheckConstraint("outcome IN ('rejected', 'allowed', 'omitted')", name="outcome"),
        Index("ix_violation_source_id_id", "source_id", "id"),
        Index("ix_violation_source_id_at", "source_id", "at"),
        Index("ix_violation_at", "at", postgresql_using="brin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("source.id"))
    code: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    message_id: Mapped[str | None] = mapped_column(Text)
    type: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    path: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text, server_default=REJECTED)
    raw: Mapped[str] = mapped_column(Text)
    position: Mapped[int | None]
    envelope: Mapped[str | None] = mapped_column(Text)
    whole: Mapped[bool] = mapped_column(server_default=false())
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    replayed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ViolationCount(Base):
    """How often a rule was broken in a day (UTC), also when the events are no longer kept."""

    __tablename__ = "violation_count"

    source_id: Mapped[str] = mapped_column(ForeignKey("source.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    outcome: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
