"""Copies of other services' facts."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from perennial.profile.models import metadata

_Instant = DateTime(timezone=True)

Table(
    "account",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("currency", Text, primary_key=True, server_default=text("'points'")),
    Column("balance", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("as_of", _Instant, nullable=False),
)
Table(
    "expiring",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("expires_at", _Instant, primary_key=True),
    Column("points", BigInteger, nullable=False),
    Column("as_of", _Instant, nullable=False, comment="When it was announced."),
)
Table(
    "tier",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("tier", Text, nullable=False),
    Column("since", _Instant, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("as_of", _Instant, nullable=False),
)
Table(
    "membership",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("segment_id", Uuid, primary_key=True),
    Column("segment_name", Text, nullable=False),
    Column("member", Boolean, nullable=False),
    Column("since", _Instant, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("as_of", _Instant),
)
ticket = Table(
    "ticket",
    metadata,
    Column("ticket_id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("type", Text),
    Column("stage", Text),
    Column("priority", Text),
    Column("opened_at", _Instant),
    Column("breached_at", _Instant),
    Column("breached", Text, comment="The service level that was missed first."),
    Column("score", Integer),
    Column("rated_at", _Instant),
    Column("as_of", _Instant),
)
Index("ix_ticket_via", ticket.c.via, postgresql_where=text("open"))
Index("ix_ticket_via_rated_at", ticket.c.via, ticket.c.rated_at, postgresql_where=text("rated_at IS NOT NULL"))
coupon = Table(
    "coupon",
    metadata,
    Column("source", Text(collation="C"), primary_key=True, comment="The service that gave it."),
    Column("coupon_id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", JSONB, nullable=False, comment="By language."),
    Column("state", Text, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("since", _Instant, nullable=False),
    Column("expires_at", _Instant),
    Column("as_of", _Instant, nullable=False),
    comment="Of whichever service gives some; what is not held any more stays for its version.",
)
Index("ix_coupon_via", coupon.c.via)
Table(
    "outreach",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("sent", BigInteger, nullable=False),
)
Table(
    "reach",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("sent", BigInteger, nullable=False),
    Column("suppressed", BigInteger, nullable=False),
    Column("last_sent_at", _Instant),
    Column("last_suppressed_at", _Instant),
    Column("last_reason", Text, comment="Why the last one was suppressed."),
)
enrolment = Table(
    "enrolment",
    metadata,
    Column("enrolment_id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("journey_id", Uuid, nullable=False),
    Column("started_at", _Instant),
    Column("ended_at", _Instant),
    Column("reason", Text),
)
Index("ix_enrolment_via", enrolment.c.via)
merger = Table(
    "merger",
    metadata,
    Column("merge_id", Uuid, primary_key=True),
    Column("survivor", Uuid, nullable=False),
    Column("merged", Uuid, nullable=False),
    Column("at", _Instant, nullable=False),
)
Index("ix_merger_merged", merger.c.merged)
