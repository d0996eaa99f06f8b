"""Definitions, what is kept for them of events, and the aggregates themselves."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    Numeric,
    Sequence,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSONB

from perennial.profile.models import metadata

_Instant = DateTime(timezone=True)
_Word = Text(collation="C")

feed = Table(
    "computed_feed",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("digest", Text, unique=True, nullable=False),
    Column("spec", JSONB, nullable=False, comment="Which events are counted, and what is kept of them."),
    Column("ready", Boolean, nullable=False, comment="Everything is counted: events as they come."),
    Column("month", Date, comment="Later months are counted, and of this one the identifiers up to `via`."),
    Column("via", Uuid),
    comment="Several computed traits share what is kept for them.",
)
trait = Table(
    "computed_trait",
    metadata,
    Column("key", Text, primary_key=True),
    Column("labels", JSONB, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False, comment="building (the version before is served), ready, archived"),
    Column("spec", JSONB, nullable=False),
    Column("feed", Integer, ForeignKey("computed_feed.id"), comment="None: computed from orders."),
    Column("served", JSONB, comment="The spec that customers are shown; none until it is ready."),
    Column("served_feed", Integer, ForeignKey("computed_feed.id")),
    Column("pending", Boolean, nullable=False, comment="Customers are to be derived again because of it."),
    Column("created_at", _Instant, server_default=func.now(), nullable=False),
    Column("updated_at", _Instant, server_default=func.now(), nullable=False),
    Column("ready_at", _Instant),
)
partial = Table(
    "computed_partial",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("feed", Integer, primary_key=True, autoincrement=False),
    Column("bucket", _Instant, primary_key=True, comment="When its time begins; 1970 for all time."),
    Column("word", _Word, primary_key=True, comment="A value that is counted, or a currency; else empty."),
    Column("n", BigInteger, nullable=False, server_default=text("0")),
    Column("total", Numeric),
    Column("low", Numeric),
    Column("high", Numeric),
    Column("first_at", _Instant),
    Column("last_at", _Instant),
    Column("first_id", Uuid),
    Column("first_value", JSONB),
    Column("last_id", Uuid),
    Column("last_value", JSONB),
    Column("spans", INT8MULTIRANGE, comment="Microseconds of the epoch, each event reaching as far as the gap."),
)
version = Sequence("computed_version", metadata=metadata)
discount = Table(
    "order_discount",
    metadata,
    Column("source", _Word, primary_key=True),
    Column("order_id", _Word, primary_key=True),
    Column("via", Uuid, nullable=False, index=True),
    Column("discount", Numeric, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("message_id", _Word, nullable=False),
    comment="What was taken off an order, as the newest event says that names it.",
)
