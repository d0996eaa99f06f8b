"""The tier of each customer: derived, one row per customer of today."""

from sqlalchemy import BigInteger, Column, DateTime, Index, Sequence, Table, Text, Uuid

from perennial.loyalty.models import metadata

# One counter for all: a customer that a merge took away and an undo brought back goes on counting upwards.
tier_version = Sequence("tier_version", metadata=metadata)

# `review_at`: when the oldest points that the tier rests on leave the window.
tier_state = Table(
    "tier_state",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("tier", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("review_at", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
)
Index("ix_tier_state_review_at", tier_state.c.review_at, postgresql_where=tier_state.c.review_at.is_not(None))
Index("ix_tier_state_tier", tier_state.c.tier)
