"""Orders, each once per source and order id, and the refunds heard of them."""

from sqlalchemy import Column, DateTime, Numeric, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from perennial.loyalty.models import metadata

MOMENT = DateTime(timezone=True)

# An order as its events tell it so far, and what has been posted for it. Counted once per source and order id.
# `…_told`: what the rules saw of it, where the amount alone does not tell; `waived`: what a refund left by policy.
purchase = Table(
    "purchase",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("source", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("via", Uuid),
    Column("completed_at", MOMENT),
    Column("completed_by", Uuid),
    Column("completed_amount", Numeric(16, 2)),
    Column("completed_points", JSONB),  # by currency, as are all points of an order
    Column("updated_at", MOMENT),
    Column("updated_by", Uuid),
    Column("updated_amount", Numeric(16, 2)),
    Column("updated_points", JSONB),
    Column("earned", JSONB, server_default=text("'{}'"), nullable=False),
    Column("reversed", JSONB, server_default=text("'{}'"), nullable=False),
    Column("waived", JSONB, server_default=text("'{}'"), nullable=False),
    Column("completed_told", JSONB),
    Column("updated_told", JSONB),
    Column("delivered_at", MOMENT),
    Column("released_at", MOMENT),
)

# Refunds and cancellations of an order; an amount of null is the whole of it.
refund = Table(
    "refund",
    metadata,
    Column("purchase_id", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("at", MOMENT, nullable=False),
    Column("amount", Numeric(16, 2)),
)
