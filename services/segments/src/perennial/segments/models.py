"""The tables of schema `segments`: the facts that rules are asked over, definitions, memberships, RFM."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    Sequence,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from perennial.common.db import add_common_tables, new_metadata
from perennial.common.operations import add_operation_tables
from perennial.common.orders import order_table
from perennial.common.rules.facts import fact_tables

metadata = new_metadata()
add_common_tables(metadata)
add_operation_tables(metadata)
# A backfill marks everybody; whoever did something meanwhile comes first, without sorting a million marks each time.
_stale = metadata.tables["stale"]
Index("ix_stale_live_at", _stale.c.live.desc(), _stale.c.at)
_stale.append_column(Column("concern", Text, comment="What it is about, as a list of words; * and none: anything."))
Index("ix_stale_customer_id", _stale.c.customer_id)
Index("ix_stale_anything", _stale.c.customer_id, postgresql_where=_stale.c.concern == "*")
_map = metadata.tables["identity_map"]
Index("ix_identity_map_hash", func.uuid_hash(_map.c.customer_id))
trait, event = fact_tables(metadata, by_month=True)
purchase = order_table(metadata)

_instant = DateTime(timezone=True)

segment = Table(
    "segment",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, server_default="rule", nullable=False, comment="rule, list"),
    Column("rule", JSONB, comment="Of the newest version; none for a list."),
    Column("state", Text, nullable=False, comment="draft, building, live, failed, archived: of the newest version"),
    Column("version", Integer, nullable=False),
    Column("serving_rule", JSONB, comment="By which members are kept up to date, whatever the newest version does."),
    Column("serving_version", Integer),
    Column("operation_id", Uuid, comment="The backfill of the newest version."),
    Column("error", Text),
    Column("created_at", _instant, server_default=func.now(), nullable=False),
    Column("updated_at", _instant, server_default=func.now(), nullable=False),
    Column("as_of", _instant, comment="When the version that serves was computed whole."),
)
Index("ix_segment_name", segment.c.name, unique=True, postgresql_where=segment.c.state != "archived")
segment_version = Table(
    "segment_version",
    metadata,
    Column("segment_id", Uuid, ForeignKey("segment.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("rule", JSONB),
    Column("by", Text, nullable=False),
    Column("at", _instant, server_default=func.now(), nullable=False),
    Column("restored", Integer, comment="The version that this one repeats."),
)
list_member = Table(
    "list_member",
    metadata,
    Column("segment_id", Uuid, ForeignKey("segment.id"), primary_key=True),
    Column("via", Uuid, primary_key=True, index=True),
    Column("at", _instant, server_default=func.now(), nullable=False),
    Column("by", Text, nullable=False),
)
staged_member = Table(
    "staged_member",
    metadata,
    Column("operation_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, primary_key=True, index=True),
    Column("member", Boolean, nullable=False, comment="Whether the customer is to enter, or to leave."),
    Column("version", BigInteger, comment="Of the membership, once it has changed."),
    comment="What a backfill is about to change.",
)

event_keeping = Table(
    "event_keeping",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="1: the one row"),
    Column("divide_after", _instant, nullable=False, comment="Until then the version before may still write."),
    Column("before_until", _instant, comment="Where the part ends that was the table undivided."),
    Column("complete_since", _instant, comment="What was before it has been dropped."),
)
build = Table(
    "build",
    metadata,
    Column("operation_id", Uuid, primary_key=True),
    comment="Builds for which derivations note whom they touch.",
)
build_touched = Table("build_touched", metadata, Column("customer_id", Uuid, primary_key=True))

# What profile says of customers. `trait` has a copy of the values of whoever is a customer of their own today.
derived_trait = Table(
    "derived_trait",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", JSONB),
    Column("version", BigInteger, nullable=False),
    Column("at", _instant, nullable=False),
)
trait_definition = Table(
    "trait_definition",
    metadata,
    Column("key", Text, primary_key=True),
    Column("computed", Boolean, primary_key=True),
    Column("type", Text, nullable=False),
    Column("values", ARRAY(Text), nullable=False, comment="Of an enum."),
    Column("archived", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
)
segment_user = Table(
    "segment_user",
    metadata,
    Column("service", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False, comment="A word of that service."),
    Column("segments", ARRAY(Uuid), nullable=False, comment="None: it asks for none any more."),
    Column("version", BigInteger, nullable=False),
    Column("said_at", _instant, nullable=False),
    comment="Rules of other services, and which segments they ask for.",
)

# Every entry and every exit draws a number: whoever keeps a copy ignores what is older than what it has.
membership_version = Sequence("membership_version", metadata=metadata)
membership = Table(
    "membership",
    metadata,
    Column("segment_id", Uuid, primary_key=True, comment="Held while it is written: a foreign key looks once more."),
    Column("customer_id", Uuid, primary_key=True, index=True),
    Column("since", _instant, nullable=False),
    Column("version", BigInteger, nullable=False),
)
# Of every index each change writes another page: there is one, and whoever asks for a customer asks by segment.
membership_change = Table(
    "membership_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Column("segment_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("entered", Boolean, nullable=False),
    Column("at", _instant, nullable=False),
    Index(None, "segment_id", "customer_id", "at"),
)
history_keeping = Table(
    "history_keeping",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="1: the one row"),
    Column("changes_since", _instant, nullable=False, comment="Who was in before it is told no more."),
    Column("changes_swept", _instant, comment="Of what was before it only entries that still counted then are left."),
)
# Nobody fills or asks it any more. The version before erases in it: it can go when that one is gone.
rfm = Table(
    "rfm",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("last_order_at", _instant, nullable=False),
    Column("frequency", Integer, nullable=False),
    Column("monetary", Numeric, nullable=False),
    Column("r", SmallInteger, nullable=False),
    Column("f", SmallInteger, nullable=False),
    Column("m", SmallInteger, nullable=False),
    Column("group", Text, nullable=False, index=True),
)
