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
from sqlalchemy.dialects.postgresql import JSONB

from perennial.common.db import add_common_tables, new_metadata
from perennial.common.orders import order_table
from perennial.common.rules.facts import fact_tables

metadata = new_metadata()
add_common_tables(metadata)
trait, event = fact_tables(metadata)
purchase = order_table(metadata)

_instant = DateTime(timezone=True)

segment = Table(
    "segment",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("rule", JSONB, nullable=False),
    Column("state", Text, nullable=False, comment="building (the old version serves), live, archived, failed"),
    Column("version", Integer, nullable=False),
    Column("error", Text),
    Column("created_at", _instant, server_default=func.now(), nullable=False),
    Column("updated_at", _instant, server_default=func.now(), nullable=False),
    Column("as_of", _instant),
)
Index("ix_segment_name", segment.c.name, unique=True, postgresql_where=segment.c.state != "archived")

# Every entry and every exit draws a number: whoever keeps a copy ignores what is older than what it has.
membership_version = Sequence("membership_version", metadata=metadata)
membership = Table(
    "membership",
    metadata,
    Column("segment_id", Uuid, ForeignKey("segment.id"), primary_key=True),
    Column("customer_id", Uuid, primary_key=True, index=True),
    Column("since", _instant, nullable=False),
    Column("version", BigInteger, nullable=False),
)
membership_change = Table(
    "membership_change",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("segment_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("entered", Boolean, nullable=False),
    Column("at", _instant, nullable=False),
    Index(None, "segment_id", "customer_id", "at"),
)
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
rfm_run = Table(
    "rfm_run",
    metadata,
    Column("id", Integer, primary_key=True, comment="1: the one row"),
    Column("as_of", _instant, nullable=False),
    Column("customers", Integer, nullable=False),
    Column("orders", BigInteger, nullable=False),
)
