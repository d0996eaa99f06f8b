"""Erasures as they are asked for, and what each service answered."""

from sqlalchemy import Column, DateTime, ForeignKey, Index, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB

from perennial.profile.models import metadata

_Instant = DateTime(timezone=True)
OPEN = "state IN ('waiting', 'held', 'running')"

erasure_request = Table(
    "erasure_request",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer_id", Uuid, nullable=False, comment="Who it was when somebody asked; a name of nobody afterwards."),
    Column("state", Text, nullable=False, comment="waiting, held, running, completed or refused"),
    Column("reason", Text, nullable=False, comment="One of a few words: nothing here tells of the person."),
    Column("held_until", _Instant, comment="A legal hold: not before this."),
    Column("hold_reason", Text),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", _Instant, server_default=func.now(), nullable=False),
    Column("decided_by", Text),
    Column("decided_at", _Instant),
    Column("refusal", Text),
    Column("completed_at", _Instant),
    Column("asked_at", _Instant, comment="When services without a receipt were asked once more."),
)
Index(
    "uq_erasure_request_open", erasure_request.c.customer_id, unique=True, postgresql_where=text(OPEN)
)  # fmt: skip
Index("ix_erasure_request_running", erasure_request.c.id, postgresql_where=erasure_request.c.state == "running")
Index("ix_erasure_request_held", erasure_request.c.held_until, postgresql_where=erasure_request.c.state == "held")

erasure_receipt = Table(
    "erasure_receipt",
    metadata,
    Column("erasure_id", Uuid, ForeignKey("erasure_request.id"), primary_key=True),
    Column("service", Text, primary_key=True),
    Column("at", _Instant, nullable=False),
    Column("tables", JSONB, nullable=False),
)
