"""What was heard of memberships, what follows from it, and what orders of members saved."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    Numeric,
    Sequence,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from perennial.loyalty.models import metadata

MOMENT = DateTime(timezone=True)

# One counter for all: a customer that a merge took away and an undo brought back goes on counting upwards.
membership_version = Sequence("membership_version", metadata=metadata)

# A payment bears the id that its source gave it, and counts once by that, however often it is told.
membership_event = Table(
    "membership_event",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("plan", Text, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("payment", Text, nullable=False),
    Column("amount", Numeric),
    Column("order_amount", Numeric),
    Column("money", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("refund", Text, nullable=False),
    Column("immediate", Boolean, server_default=text("false"), nullable=False),
    CheckConstraint("kind IN ('paid', 'trial', 'failed', 'cancelled', 'refunded')", name="kind"),
    Index("ix_membership_event_via", "via", "at"),
    Index("ix_membership_event_payment", "payment", "source"),
)

# Derived, one row per customer of today and plan. `until` is paid for, `ends_at` is when the benefits end.
membership = Table(
    "membership",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("plan", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("until", MOMENT, nullable=False),
    Column("ends_at", MOMENT, nullable=False),
    Column("renews", Boolean, server_default=text("false"), nullable=False),
    Column("refund_due", Numeric, nullable=False),
    Column("money", Text, nullable=False),
    Column("benefits", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("state IN ('trial', 'active', 'grace', 'lapsed', 'cancelled', 'refunded')", name="state"),
    Index("ix_membership_plan", "plan", "state"),
)

# What an order's earliest completion says was taken off its price and off its shipping, whoever was a member then.
member_saving = Table(
    "member_saving",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("by", Uuid, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("discount", Numeric, nullable=False),
    Column("shipping", Numeric, nullable=False),
    Column("money", Text, nullable=False),
    Index("ix_member_saving_via", "via", "at"),
)
