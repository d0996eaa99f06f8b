"""The mall's tables: the catalogue, its codes, who has taken what."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from perennial.loyalty.models import metadata

MOMENT = DateTime(timezone=True)


def _priced() -> "list[Column[object]]":
    """Points of a currency and money paid elsewhere; what a reward of stored credit is worth."""
    return [
        Column("points", BigInteger, nullable=False),
        Column("currency", Text, nullable=False),
        Column("amount", Numeric),
        Column("money", Text),
        Column("credit_currency", Text),
        Column("credit_points", BigInteger),
    ]


# `taken` counts what is reserved, confirmed and fulfilled; it is no part of the version, which staff change.
reward = Table(
    "reward",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("name", JSONB, nullable=False),
    Column("description", JSONB, nullable=False),
    *_priced(),
    Column("stock", BigInteger),
    Column("taken", BigInteger, server_default=text("0"), nullable=False),
    Column("codes", Boolean, nullable=False),
    Column("starts_at", MOMENT),
    Column("ends_at", MOMENT),
    Column("limits", JSONB, nullable=False),
    Column("tiers", ARRAY(Text), nullable=False),
    Column("hold_minutes", Integer, nullable=False),
    Column("instant", Boolean, nullable=False),
    Column("created_at", MOMENT, server_default=func.now(), nullable=False),
    CheckConstraint("taken >= 0 AND (stock IS NULL OR taken <= stock)", name="stock"),
    CheckConstraint("points >= 0 AND (amount IS NULL) = (money IS NULL)", name="price"),
    CheckConstraint("state IN ('active', 'hidden', 'archived')", name="state"),
    CheckConstraint("kind IN ('goods', 'coupon', 'service', 'credit', 'voucher')", name="kind"),
)

# Each is given once: a redemption holds it from the reservation on, and its customer sees it when it is fulfilled.
voucher_code = Table(
    "voucher_code",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("reward_id", Uuid, nullable=False),
    Column("code", Text, nullable=False),
    Column("redemption_id", Uuid),
    Index("ux_voucher_code", "reward_id", "code", unique=True),
)
Index(
    "ix_voucher_code_free",
    voucher_code.c.reward_id,
    voucher_code.c.id,
    postgresql_where=voucher_code.c.redemption_id.is_(None),
)
Index(
    "ux_voucher_code_redemption_id",
    voucher_code.c.redemption_id,
    unique=True,
    postgresql_where=voucher_code.c.redemption_id.is_not(None),
)

# At the terms of the moment at which it was reserved. Its points are spent by the posting that bears its id.
redemption = Table(
    "redemption",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("reward_id", Uuid, nullable=False),
    Column("reward_version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("via", Uuid, nullable=False),
    *_priced(),
    Column("state", Text, nullable=False),
    Column("version", Integer, server_default=text("1"), nullable=False),
    Column("reserved_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT, nullable=False),
    Column("confirmed_at", MOMENT),
    Column("fulfilled_at", MOMENT),
    Column("ended_at", MOMENT),
    Column("payment_reference", Text),
    Column("note", Text),
    CheckConstraint("state IN ('reserved', 'confirmed', 'fulfilled', 'cancelled', 'expired')", name="state"),
    Index("ix_redemption_via", "via", "reward_id"),
    Index("ix_redemption_reserved_at", "reserved_at", "id"),
    Index("ix_redemption_reward_id", "reward_id", "reserved_at", "id"),
)
Index("ix_redemption_held", redemption.c.expires_at, postgresql_where=redemption.c.state == "reserved")
