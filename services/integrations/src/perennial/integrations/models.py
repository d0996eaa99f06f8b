"""The tables of integrations: endpoints, their secrets, messages, deliveries and every attempt."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, LargeBinary, Text, false, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from perennial.common.db import add_common_tables, new_metadata

metadata = new_metadata()
add_common_tables(metadata)


class Base(DeclarativeBase):
    """The base of this schema's tables."""

    metadata = metadata
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text, list[str]: ARRAY(Text), dict[str, Any]: JSONB}  # noqa: RUF012 (SQLAlchemy's)


class Webhook(Base):
    """A partner's endpoint. `fields` is what it gets in clear; `personal` is for the version before."""

    __tablename__ = "webhook"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str]
    event_types: Mapped[list[str]]
    description: Mapped[str]
    fields: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    personal: Mapped[bool] = mapped_column(server_default=false())
    disabled: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None]
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    paused_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WebhookSecret(Base):
    """A signing secret, encrypted; the old one signs beside the new one until it expires."""

    __tablename__ = "webhook_secret"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]


class Message(Base):
    """What is delivered: the id is the event's. `body` is what goes to an endpoint that gets nothing in clear.

    `personal_body` is the whole of it, where that is more.
    """

    __tablename__ = "message"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    type: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    personal_body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class Delivery(Base):
    """One message for one endpoint: pending until it is delivered, failed or aborted.

    From the first attempt on, `fields` is the allow-list it was sent under and `body` the exact bytes (null: the
    message's own), which every later attempt repeats.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_due", "webhook_id", "next_at", postgresql_where=text("state = 'pending'")),
        Index("ix_delivery_message_id", "message_id"),
    )

    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True)
    message_id: Mapped[UUID] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[str] = mapped_column(default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime] = mapped_column(server_default=func.now())
    fields: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    body: Mapped[bytes | None] = mapped_column(LargeBinary)


class Attempt(Base):
    """One request to an endpoint, what it was shown in clear, and what came of it."""

    __tablename__ = "attempt"
    __table_args__ = (Index("ix_attempt_webhook_id_id", "webhook_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    message_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    status: Mapped[int | None]
    error: Mapped[str | None]
    latency_ms: Mapped[int]
    response: Mapped[str] = mapped_column(default="")
    fields: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
