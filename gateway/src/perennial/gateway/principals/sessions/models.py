"""Staff sessions, and the failed attempts to open one."""

from datetime import datetime

from sqlalchemy import DateTime, ForeignKey, Index, LargeBinary, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from perennial.gateway.models import Base

NOW = func.now()


class Session(Base):
    """A signed-in browser; `digest` is the SHA-256 of the whole token."""

    __tablename__ = "staff_session"
    __table_args__ = (
        Index("ix_staff_session_live", "account_id", postgresql_where=text("revoked_at IS NULL")),
        Index("ix_staff_session_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("staff_account.id"))
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_agent: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    last_seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Attempt(Base):
    """Failed logins in a row. The key is an account's id, or a bucket of addresses that have no account."""

    __tablename__ = "staff_attempt"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int]
    locked_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
