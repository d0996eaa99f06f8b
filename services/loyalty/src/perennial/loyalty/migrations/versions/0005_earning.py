"""Earning: events that earned, caps, birthdays; what rules saw of an order, its delivery, what refunds left."""

from importlib import import_module

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
# What events other than orders were about may be anybody's words.
ERASE_POSTING_TEXTS = """
    UPDATE posting SET reason = CASE WHEN kind IN ('spend', 'adjust') THEN 'erased' ELSE reason END, reference = NULL
    WHERE id = ANY(ARRAY(
        SELECT p.id FROM posting p WHERE p.via = ANY(p_vias) AND (
            (p.kind IN ('spend', 'adjust') AND (p.reason <> 'erased' OR p.reference IS NOT NULL))
            OR (p.kind IN ('earn', 'reverse') AND p.reference IS NOT NULL AND EXISTS (
                SELECT FROM entry e JOIN lot l ON l.id = e.lot_id
                WHERE e.posting_id = p.id AND l.purchase_id IS NULL)))
        LIMIT p_n))"""
PURCHASE = ("waived", "completed_told", "updated_told", "delivered_at", "released_at")


def upgrade() -> None:
    op.add_column("purchase", sa.Column("waived", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False))
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
    _content()
    erasable("erase_purchase_texts", ERASE_PURCHASE_TEXTS)
    erasable("erase_posting_texts", ERASE_POSTING_TEXTS)


def downgrade() -> None:
    before = import_module("perennial.loyalty.migrations.versions.0003_privacy").ERASE_POSTING_TEXTS
    erasable("erase_posting_texts", before)
    op.execute("DROP FUNCTION erase_purchase_texts(uuid[], integer)")
    for table in ("content", "birthday", "cap_use", "activity"):
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


def _content() -> None:
    op.create_table(
        "content",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("via", sa.Uuid()),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.Column("live", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("properties", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("decided_by", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.Column("rounds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'approved', 'rejected', 'removed')", name=op.f("ck_content_state")),
        sa.CheckConstraint("(via IS NULL) = (at IS NULL)", name=op.f("ck_content_told")),
    )
    op.create_index("ix_content_via", "content", ["via", "at"])
    op.create_index("ix_content_at", "content", ["at", "id"], postgresql_where=sa.text("at IS NOT NULL"))
    op.create_index("ix_content_waiting", "content", ["at", "id"], postgresql_where=sa.text("state = 'waiting'"))
