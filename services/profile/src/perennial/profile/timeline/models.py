"""What happened, by month, and what is counted of it."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

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
    Column("type", Text, nullable=False),
    Column("name", Text),
    Column("timestamp", _Instant, nullable=False),
    Column("received_at", _Instant, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("sent_at", _Instant, comment="By the client's clock."),
    postgresql_partition_by="RANGE (timestamp)",
    comment="Append-only. One partition per month (UTC), made by ensure_event_months(); no default partition.",
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
)
