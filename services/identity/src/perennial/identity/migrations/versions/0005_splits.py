"""Splits, when and where identifiers were seen, and parked events that are sealed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COMMENTS = (
    ("map_change", "merge_id", "The merge that moved it or that was undone, or the split."),
    ("separation", "merge_id", "The undone merge, the split or the conflict by which a person has parted them."),
)


def upgrade() -> None:
    _split()
    op.create_table(
        "seen",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column(
            "first_at", sa.DateTime(timezone=True), nullable=False, comment="By the events' own time, to the hour."
        ),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("via", "source", name="pk_seen"),
    )
    op.execute("ALTER TABLE seen SET (fillfactor = 80)")
    op.add_column(
        "merge",
        sa.Column("undone_rest", postgresql.ARRAY(sa.Uuid()), comment="The identifiers from which they were parted."),
    )
    op.add_column("parked", sa.Column("sealed", sa.LargeBinary(), comment="Body, error and trace, encrypted."))
    op.create_index("ix_conflict_against", "conflict", ["against"])
    op.create_index("ix_merge_merged_vias", "merge", ["merged_vias"], postgresql_using="gin")
    for table, column, comment in COMMENTS:
        op.alter_column(table, column, comment=comment)


def _split() -> None:
    op.create_table(
        "split",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False, comment="Who was split; the side that kept its name."),
        sa.Column("separated", sa.Uuid(), nullable=False, comment="The name of the other side."),
        sa.Column(
            "identifiers", postgresql.ARRAY(sa.Uuid()), nullable=False, comment="The set that was named, and the rest."
        ),
        sa.Column("remaining", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.SmallInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.Column("undone_by", sa.Text()),
        sa.Column("undone_reason", sa.Text()),
        sa.Column("merge_id", sa.Uuid(), comment="The merge by which it was undone."),
        sa.PrimaryKeyConstraint("id", name="pk_split"),
    )
    op.create_index("ix_split_customer_id", "split", ["customer_id"])
    op.create_index("ix_split_separated", "split", ["separated"])


def downgrade() -> None:
    op.drop_index("ix_merge_merged_vias", "merge")
    op.drop_index("ix_conflict_against", "conflict")
    op.drop_column("parked", "sealed")
    op.drop_column("merge", "undone_rest")
    for table in ("seen", "split"):
        op.drop_table(table)
