"""Facts, definitions, memberships, RFM, and the tables that every service has."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import create_common_tables, drop_common_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_common_tables()
    op.execute(sa.schema.CreateSequence(sa.Sequence("membership_version")))
    _event()
    _membership_change()
    _purchase()
    _rfm()
    _rfm_run()
    _segment()
    _trait()
    _membership()


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("properties", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
    )
    op.create_index("ix_event_name_at", "event", ["name", "at"], unique=False)
    op.create_index("ix_event_via_name_at", "event", ["via", "name", "at"], unique=False)


def _membership_change() -> None:
    op.create_table(
        "membership_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("entered", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_membership_change"),
    )
    op.create_index(
        "ix_membership_change_segment_id_customer_id_at",
        "membership_change",
        ["segment_id", "customer_id", "at"],
        unique=False,
    )


def _purchase() -> None:
    op.create_table(
        "purchase",
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("order_id", sa.Text(collation="C"), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_message_id", sa.Text(collation="C"), nullable=True),
        sa.Column("completed_amount", sa.Numeric(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("items", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_message_id", sa.Text(collation="C"), nullable=True),
        sa.Column("updated_amount", sa.Numeric(), nullable=True),
        sa.Column("refund_total", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("refunded_in_full", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "amount",
            sa.Numeric(),
            sa.Computed(
                "CASE WHEN (updated_at, updated_message_id) > (completed_at, completed_message_id)"
                " THEN updated_amount ELSE coalesce(completed_amount, 0) END",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.PrimaryKeyConstraint("source", "order_id", name="pk_purchase"),
    )
    op.create_index("ix_purchase_via", "purchase", ["via"], unique=False, postgresql_where=sa.text("via IS NOT NULL"))


def _rfm() -> None:
    op.create_table(
        "rfm",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("last_order_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frequency", sa.Integer(), nullable=False),
        sa.Column("monetary", sa.Numeric(), nullable=False),
        sa.Column("r", sa.SmallInteger(), nullable=False),
        sa.Column("f", sa.SmallInteger(), nullable=False),
        sa.Column("m", sa.SmallInteger(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name="pk_rfm"),
    )
    op.create_index("ix_rfm_group", "rfm", ["group"], unique=False)


def _rfm_run() -> None:
    op.create_table(
        "rfm_run",
        sa.Column("id", sa.Integer(), nullable=False, comment="1: the one row"),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customers", sa.Integer(), nullable=False),
        sa.Column("orders", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rfm_run"),
    )


def _segment() -> None:
    op.create_table(
        "segment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rule", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="building (the old version serves), live, archived, failed"
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_segment"),
    )
    op.create_index(
        "ix_segment_name", "segment", ["name"], unique=True, postgresql_where=sa.text("state != 'archived'")
    )


def _trait() -> None:
    op.create_table(
        "trait",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("via", "key", name="pk_trait"),
    )
    op.create_index("ix_trait_key", "trait", ["key"], unique=False)


def _membership() -> None:
    op.create_table(
        "membership",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name="fk_membership_segment_id"),
        sa.PrimaryKeyConstraint("segment_id", "customer_id", name="pk_membership"),
    )
    op.create_index("ix_membership_customer_id", "membership", ["customer_id"], unique=False)


def downgrade() -> None:
    for table in ("membership", "trait", "segment", "rfm_run", "rfm", "purchase", "membership_change", "event"):
        op.drop_table(table)
    op.execute(sa.schema.DropSequence(sa.Sequence("membership_version")))
    drop_common_tables()
