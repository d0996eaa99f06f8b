"""API keys: only their digests are kept."""

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from perennial.gateway.models import Base


class ApiKey(Base):
    """A key of a partner or a back end; a digest is the SHA-256 of the whole text.

    After a rotation the text before it is good until `previous_until`.
    """

    __tablename__ = "api_key"
    __table_args__ = (CheckConstraint("rate_limit >= 1", name="rate_limit"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    previous_digest: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    previous_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    fields: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    rate_limit: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
