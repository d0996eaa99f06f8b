"""What happened, by month and data class, and what is counted of it."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, DateTime, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from perennial.profile.models import metadata

# Ties are broken by comparing these, so their order must be the same in Python and in every database.
_Word = Text(collation="C")
_Instant = DateTime(timezone=True)

event = Table(
    "event",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("via", Uuid, nullable=False),
    Column("source", _Word, nullable=False),
    Column("message_id", _Word, nullable=False),
    Column("type", Text, nullable=False, comment="Of a tracking event, or the kind of what another service said."),
    Column("name", Text),
    Column("timestamp", _Instant, nullable=False),
    Column("received_at", _Instant, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("sent_at", _Instant, comment="By the client's clock."),
    Column("data_class", _Word, server_default=text("'behaviour'"), nullable=False),
    postgresql_partition_by="RANGE (timestamp)",
    comment="Append-only. A partition per month (UTC), in it one per data class: ensure_event_parts(); no default one.",
)
Index("ix_event_via_timestamp", event.c.via, event.c.timestamp.desc())
Index("ix_event_message_id", event.c.message_id)

Table(
    "counter",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("first", _Instant, nullable=False),
    Column("last", _Instant, nullable=False),
)
Table(
    "activity",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("first_seen", _Instant, nullable=False),
    Column("last_seen", _Instant, comment="Events with context.active = false do not move it."),
    Column("latest", _Instant, nullable=False, comment="The newest event, active or not: bounds the timeline."),
    Column("sources", ARRAY(Text), server_default=text("'{}'"), nullable=False, comment="That its events came from."),
)
Table(
    "told",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("month", _Instant, primary_key=True, comment="Its first instant in UTC."),
    comment="In which months services said something of an identifier: bounds the timeline beside activity.",
)
Table(
    "retention",
    metadata,
    Column("data_class", _Word, primary_key=True),
    Column("months", Integer, CheckConstraint("months BETWEEN 1 AND 240", name="months"), nullable=False),
    Column("version", BigInteger, server_default=text("1"), nullable=False),
    comment="For how long the timeline keeps what, where event_retention() has something else.",
)
