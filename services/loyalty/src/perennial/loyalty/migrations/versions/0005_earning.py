"""Earning: events that earned, caps, birthdays; what rules saw of an order, its delivery, what refunds left."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.privacy import erasable

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ERASE_PURCHASE_TEXTS = """
    UPDATE purchase SET completed_told = NULL, updated_told = NULL WHERE id = ANY(ARRAY(
        SELECT id FROM purchase WHERE via = ANY(p_vias)
            AND (completed_told IS NOT NULL OR updated_told IS NOT NULL) LIMIT p_n))"""
PURCHASE = ("waived", "completed_told", "updated_told", "delivered_at", "released_at")


def upgrade() -> None:
    op.add_column(
        "purchase", sa.Column("waived", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False)
    )
    for name in ("completed_told", "updated_told"):
        op.add_column("purchase", sa.Column(name, postgresql.JSONB()))
    for name in ("delivered_at", "released_at"):
        op.add_column("purchase", sa.Column(name, sa.DateTime(timezone=True)))
    _activity()
    _caps()
    op.create_table(
        "birthday",
        sa.Column("via", sa.Uuid(), primary_key=True),
        sa.Column("day", sa.Text()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
    )
    erasable("erase_purchase_texts", ERASE_PURCHASE_TEXTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION erase_purchase_texts(uuid[], integer)")
    for table in ("birthday", "cap_use", "activity"):
        op.drop_table(table)
    for name in PURCHASE:
        op.drop_column("purchase", name)


def _activity() -> None:
    op.create_table(
        "activity",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("told", postgresql.JSONB(), nullable=False),
    )
    op.create_index("ix_activity_via", "activity", ["via", "name", "day"])


def _caps() -> None:
    op.create_table(
        "cap_use",
        sa.Column("cause_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cause_id", "rule", name="pk_cap_use"),
    )
    op.create_index("ix_cap_use_via", "cap_use", ["via", "rule", "day"])
