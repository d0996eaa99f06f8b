"""The tables of the life cycle: ladders, what staff set, where each customer stands, how it came there."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    Sequence,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from perennial.profile.models import metadata

_Instant = DateTime(timezone=True)

Table(
    "ladder",
    metadata,
    Column("key", Text(collation="C"), primary_key=True),
    Column("label", JSONB, nullable=False),
    Column("stages", JSONB, nullable=False, comment="In order; the last one whose rule holds is the customer's."),
    Column("origin", Text, nullable=False, comment="preset, own"),
    Column("digest", Text, comment="Of the preset that it was taken from."),
    Column("edited", Boolean, server_default=text("false"), nullable=False),
    Column("version", Integer, server_default=text("1"), nullable=False),
    Column("updated_at", _Instant, server_default=func.now(), nullable=False),
)
Table(
    "lifecycle",
    metadata,
    Column("id", Integer, primary_key=True, comment="1: the one row"),
    Column("ladder", Text(collation="C"), nullable=False, comment="The one in use."),
    Column("version", Integer, server_default=text("1"), nullable=False),
    Column("updated_at", _Instant, server_default=func.now(), nullable=False),
)
Table(
    "stage_assignment",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("ladder", Text(collation="C"), nullable=False),
    Column("stage", Text, comment="Null: what was set was taken back."),
    Column("at", _Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text),
    Column("expires_at", _Instant),
    comment="Of all identifiers of a customer the newest says.",
)
# Every change of a stage draws a number: whoever keeps a copy ignores what is older than what it has.
stage_version = Sequence("stage_version", metadata=metadata)
customer_stage = Table(
    "customer_stage",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("ladder", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("since", _Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    comment="Derived.",
)
Index("ix_customer_stage_stage", customer_stage.c.ladder, customer_stage.c.stage)
stage_change = Table(
    "stage_change",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="Of stage_version."),
    Column("customer_id", Uuid, nullable=False, comment="As it was then: an identifier of today's customer."),
    Column("ladder", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("by", Text, nullable=False),
    Column("at", _Instant, nullable=False),
)
Index("ix_stage_change_customer", stage_change.c.customer_id, stage_change.c.id)
