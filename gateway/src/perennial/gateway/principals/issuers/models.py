"""Who else may sign customer tokens."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from perennial.gateway.models import Base


class TokenIssuer(Base):
    """An identity provider of the shop: whose tokens are good, and which claim names the customer."""

    __tablename__ = "token_issuer"
    __table_args__ = (CheckConstraint("(jwks_url IS NULL) <> (jwks IS NULL)", name="keys"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    issuer: Mapped[str] = mapped_column(Text, unique=True)
    audience: Mapped[str] = mapped_column(Text)
    jwks_url: Mapped[str | None] = mapped_column(Text)
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    claim: Mapped[str] = mapped_column(Text)
    identifier_kind: Mapped[str] = mapped_column(Text)
    algorithms: Mapped[list[str]] = mapped_column(ARRAY(Text))
    max_age_seconds: Mapped[int]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
