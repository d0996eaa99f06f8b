"""Tiers and benefits: how long a tier lasts, what staff said of it, how it has changed; figures for reports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.operations import create_operation_tables, drop_operation_tables

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATE = ("earned", "why", "held_until", "projected", "projected_at", "override_id", "benefits", "programme", "clock")


def _moment(name: str, *, nullable: bool = True, now: bool = False) -> "sa.Column[object]":
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    for column in (
        sa.Column("earned", sa.Text()),
        sa.Column("why", sa.Text()),
        _moment("held_until"),
        sa.Column("projected", sa.Text()),
        _moment("projected_at"),
        sa.Column("override_id", sa.Uuid()),
        sa.Column("benefits", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("programme", sa.Integer()),
        _moment("clock", nullable=False, now=True),
    ):
        op.add_column("tier_state", column)
    op.drop_index("ix_tier_state_review_at", "tier_state")
    _overrides()
    _history()
    op.create_index("ix_purchase_via", "purchase", ["via", "completed_at"], postgresql_where=sa.text("via IS NOT NULL"))
    op.create_index("ix_posting_recorded_at", "posting", ["recorded_at"], postgresql_using="brin")
    op.create_table(
        "report",
        sa.Column("name", sa.Text(), primary_key=True),
        _moment("as_of", nullable=False),
        sa.Column("rows", postgresql.JSONB(), nullable=False),
    )
    create_operation_tables()
    # Tiers that the old job would have reviewed get their timers when they are derived.
    op.execute("INSERT INTO stale (customer_id, live) SELECT customer_id, false FROM tier_state")


def downgrade() -> None:
    drop_operation_tables()
    op.drop_table("report")
    op.drop_index("ix_posting_recorded_at", "posting")
    op.drop_index("ix_purchase_via", "purchase")
    op.drop_table("tier_history")
    op.drop_table("tier_override")
    reviewed = sa.text("review_at IS NOT NULL")
    op.create_index("ix_tier_state_review_at", "tier_state", ["review_at"], postgresql_where=reviewed)
    for column in STATE:
        op.drop_column("tier_state", column)


def _overrides() -> None:
    op.create_table(
        "tier_override",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("exact", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        _moment("set_at", nullable=False, now=True),
        _moment("until", nullable=False),
        _moment("ended_at"),
        sa.Column("ended_by", sa.Text()),
        sa.CheckConstraint("until > set_at", name=op.f("ck_tier_override_until")),
    )
    op.create_index("ix_tier_override_via", "tier_override", ["via", "set_at", "id"])


def _history() -> None:
    op.create_table(
        "tier_history",
        sa.Column("customer_id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text()),
        _moment("at", nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("programme", sa.Integer(), nullable=False),
    )
    op.create_index("ix_tier_history_at", "tier_history", ["at"])
