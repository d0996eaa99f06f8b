"""Drafts, versions, static lists, backfills; what profile says of customers and of traits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.operations import create_operation_tables, drop_operation_tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_JSON = postgresql.JSONB(astext_type=sa.Text())
_INSTANT = sa.DateTime(timezone=True)
_STATES = "draft, building, live, failed, archived: of the newest version"


def upgrade() -> None:
    create_operation_tables()
    op.create_index("ix_stale_live_at", "stale", [sa.text("live DESC"), "at"])
    op.create_index("ix_membership_change_customer_id", "membership_change", ["customer_id"])
    _segment()
    _segment_version()
    _list_member()
    _staged_member()
    _derived_trait()
    _trait_definition()


def _segment() -> None:
    op.add_column(
        "segment",
        sa.Column("kind", sa.Text(), server_default=sa.text("'rule'"), nullable=False, comment="rule, list"),
    )
    op.alter_column("segment", "rule", nullable=True, comment="Of the newest version; none for a list.")
    op.alter_column("segment", "state", comment=_STATES)
    op.add_column(
        "segment",
        sa.Column(
            "serving_rule",
            _JSON,
            comment="By which members are kept up to date, whatever the newest version does.",
        ),
    )
    op.add_column("segment", sa.Column("serving_version", sa.Integer()))
    op.add_column("segment", sa.Column("operation_id", sa.Uuid(), comment="The backfill of the newest version."))
    op.alter_column("segment", "as_of", comment="When the version that serves was computed whole.")
    op.execute("UPDATE segment SET serving_rule = rule, serving_version = version WHERE state = 'live'")


def _segment_version() -> None:
    op.create_table(
        "segment_version",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rule", _JSON),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("restored", sa.Integer(), comment="The version that this one repeats."),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name="fk_segment_version_segment_id"),
        sa.PrimaryKeyConstraint("segment_id", "version", name="pk_segment_version"),
    )
    op.execute(
        """INSERT INTO segment_version (segment_id, version, name, rule, by, at)
           SELECT id, version, name, rule, 'unknown', updated_at FROM segment"""
    )


def _list_member() -> None:
    op.create_table(
        "list_member",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name="fk_list_member_segment_id"),
        sa.PrimaryKeyConstraint("segment_id", "via", name="pk_list_member"),
    )
    op.create_index("ix_list_member_via", "list_member", ["via"])


def _staged_member() -> None:
    op.create_table(
        "staged_member",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("member", sa.Boolean(), nullable=False, comment="Whether the customer is to enter, or to leave."),
        sa.Column("version", sa.BigInteger(), comment="Of the membership, once it has changed."),
        sa.PrimaryKeyConstraint("operation_id", "customer_id", name="pk_staged_member"),
        comment="What a backfill is about to change.",
    )
    op.create_index("ix_staged_member_customer_id", "staged_member", ["customer_id"])


def _derived_trait() -> None:
    op.create_table(
        "derived_trait",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", _JSON),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "key", name="pk_derived_trait"),
    )


def _trait_definition() -> None:
    op.create_table(
        "trait_definition",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("computed", sa.Boolean(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("values", postgresql.ARRAY(sa.Text()), nullable=False, comment="Of an enum."),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "computed", name="pk_trait_definition"),
    )


def downgrade() -> None:
    for table in ("trait_definition", "derived_trait", "staged_member", "list_member", "segment_version"):
        op.drop_table(table)
    op.execute("DELETE FROM membership WHERE segment_id IN (SELECT id FROM segment WHERE rule IS NULL)")
    op.execute("DELETE FROM segment WHERE rule IS NULL")
    op.execute("UPDATE segment SET rule = coalesce(serving_rule, rule)")
    op.execute("UPDATE segment SET state = 'building' WHERE state = 'draft'")
    op.drop_index("ix_stale_live_at", "stale")
    op.drop_index("ix_membership_change_customer_id", "membership_change")
    for column in ("operation_id", "serving_version", "serving_rule", "kind"):
        op.drop_column("segment", column)
    op.alter_column("segment", "rule", nullable=False, comment=None)
    op.alter_column("segment", "state", comment="building (the old version serves), live, archived, failed")
    op.alter_column("segment", "as_of", comment=None)
    drop_operation_tables()
