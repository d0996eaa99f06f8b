"""The tables of schema `profile`: facts under the identifier that produced them, copies of other services' facts."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Table,
    Text,
    Uuid,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from perennial.common.db import add_common_tables, new_metadata
from perennial.common.orders import order_table

metadata = new_metadata()
add_common_tables(metadata)

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

trait = Table(
    "trait",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", JSONB, comment="SQL null: the trait was cleared."),
    Column("at", _Instant, nullable=False),
    Column("source", _Word, nullable=False),
    Column("message_id", _Word, nullable=False),
)
Index(
    "ix_trait_text",
    literal_column("left(value #>> '{}', 200)").label("words"),
    postgresql_ops={"words": "gin_trgm_ops"},
    postgresql_using="gin",
    postgresql_where=text("jsonb_typeof(value) = 'string'"),
    _table=trait,
)

purchase = order_table(metadata)

Table(
    "account",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("balance", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("as_of", _Instant, nullable=False),
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
)
ticket = Table(
    "ticket",
    metadata,
    Column("ticket_id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
)
Index("ix_ticket_via", ticket.c.via, postgresql_where=text("open"))
Table(
    "outreach",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("sent", BigInteger, nullable=False),
)
