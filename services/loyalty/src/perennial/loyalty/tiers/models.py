"""The tier of each customer, derived, one row per customer of today; what staff said of it, and how it has changed."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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

from perennial.loyalty.models import metadata
from perennial.loyalty.orders.models import purchase

MOMENT = DateTime(timezone=True)

# One counter for all: a customer that a merge took away and an undo brought back goes on counting upwards.
tier_version = Sequence("tier_version", metadata=metadata)

# `earned`: the tier without what staff said. `review_at`: when the clock may change something; `projected`: the next
# tier if nothing more is earned, at `projected_at`. `clock`: up to then the pipeline has let the clock take tiers away.
tier_state = Table(
    "tier_state",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("tier", Text, nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("review_at", MOMENT),
    Column("version", BigInteger, nullable=False),
    Column("earned", Text),
    Column("why", Text),
    Column("held_until", MOMENT),
    Column("projected", Text),
    Column("projected_at", MOMENT),
    Column("override_id", Uuid),
    Column("benefits", JSONB, server_default=text("'[]'"), nullable=False),
    Column("programme", Integer),
    Column("clock", MOMENT, server_default=func.now(), nullable=False),
)
Index("ix_tier_state_tier", tier_state.c.tier)

# What staff said of a customer's tier; `via` is the identifier that the customer was called by.
tier_override = Table(
    "tier_override",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("tier", Text, nullable=False),
    Column("exact", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("set_at", MOMENT, server_default=func.now(), nullable=False),
    Column("until", MOMENT, nullable=False),
    Column("ended_at", MOMENT),
    Column("ended_by", Text),
    CheckConstraint("until > set_at", name="until"),
    Index("ix_tier_override_via", "via", "set_at", "id"),
)

# Every tier that a customer was told, under the id that the customer had then.
tier_history = Table(
    "tier_history",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("tier", Text, nullable=False),
    Column("previous", Text),
    Column("at", MOMENT, nullable=False),
    Column("why", Text, nullable=False),
    Column("programme", Integer, nullable=False),
    Index("ix_tier_history_at", "at"),
)

# Orders by customer: they count towards tiers too.
Index("ix_purchase_via", purchase.c.via, purchase.c.completed_at, postgresql_where=purchase.c.via.is_not(None))
