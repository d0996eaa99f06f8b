"""Sources of events and their write keys."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from perennial.gateway.models import Base

NOW = func.now()
MIN_BURST = 2_500  # a whole batch must fit


class Source(Base):
    """A shop, an app, a back end: where events come from. The id is in every event, so it never changes."""

    __tablename__ = "source"
    __table_args__ = (
        CheckConstraint("kind IN ('client', 'server')", name="kind"),
        CheckConstraint(
            "(events_per_second IS NULL) = (burst IS NULL) AND events_per_second >= 1 AND burst >= 2500",
            name="rate_limit",
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    may_import: Mapped[bool] = mapped_column(default=False)
    may_consent: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    origins: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    events_per_second: Mapped[int | None]
    burst: Mapped[int | None]
    plan_version: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)

    write_keys: Mapped[list["WriteKey"]] = relationship(
        lazy="raise", order_by="WriteKey.created_at.desc()", cascade="all, delete-orphan"
    )


class WriteKey(Base):
    """A public key that may write events to one source. Two are live while one replaces the other."""

    __tablename__ = "write_key"
    __table_args__ = (Index("ix_write_key_live", "source_id", postgresql_where=text("retired_at IS NULL")),)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("source.id"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    retired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
