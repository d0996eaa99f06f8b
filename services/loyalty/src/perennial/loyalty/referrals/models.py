"""Codes, who came by which, what two people have in common, and what follows from it."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from perennial.loyalty.models import metadata

MOMENT = DateTime(timezone=True)

referral_code = Table(
    "referral_code",
    metadata,
    Column("code", Text, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("made_at", MOMENT, nullable=False),
    Index("ux_referral_code_via", "via", unique=True),
)

# A link that was followed, or a code that was given at the sign-up or with an order.
referral_touch = Table(
    "referral_touch",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    Index("ix_referral_touch_via", "via", "at"),
    Index("ix_referral_touch_code", "code"),
)

# Keyed digests of devices, phones, addresses and means of payment that orders and touches tell of.
referral_signal = Table(
    "referral_signal",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("at", MOMENT, nullable=False),
)

# `via` is whose code it was, `friend` who ordered. `matured`: the return window is over and everything said in it is
# known. `booked`: both have their points by the postings of this `round`; a round that was taken back is over.
referral = Table(
    "referral",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("purchase_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("via", Uuid, nullable=False),
    Column("friend", Uuid, nullable=False),
    Column("touched_at", MOMENT, nullable=False),
    Column("qualified_at", MOMENT, nullable=False),
    Column("due_at", MOMENT, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("rewards", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("matured", Boolean, server_default=text("false"), nullable=False),
    Column("booked", Boolean, server_default=text("false"), nullable=False),
    Column("round", Integer, server_default=text("0"), nullable=False),
    Column("version", BigInteger, server_default=text("1"), nullable=False),
    Column("decision", Text),
    Column("decided_by", Text),
    Column("decided_at", MOMENT),
    Column("note", Text),
    CheckConstraint("state IN ('pending', 'held', 'rewarded', 'reversed', 'rejected', 'void')", name="state"),
    CheckConstraint("booked = (state = 'rewarded')", name="booked"),
    CheckConstraint("decision IN ('approved', 'rejected')", name="decision"),
    Index("ux_referral_purchase_id", "purchase_id", unique=True),
    Index("ix_referral_via", "via", "qualified_at"),
    Index("ix_referral_friend", "friend"),
    Index("ix_referral_qualified_at", "qualified_at", "id"),
)
