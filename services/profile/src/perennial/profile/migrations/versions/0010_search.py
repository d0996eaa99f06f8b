"""Search, imports and exports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.operations import create_operation_tables, drop_operation_tables

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_operation_tables()
    op.create_table(
        "customer_order",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column(
            "names",
            postgresql.JSONB(),
            nullable=False,
            comment="The traits that `name` and the forms were made of.",
        ),
        sa.Column(
            "name",
            sa.Text(collation="C"),
            nullable=False,
            comment="Folded, to sort by; U+10FFFF where there is none.",
        ),
        sa.Column("first_seen", sa.DateTime(timezone=True), server_default=sa.text("'-infinity'"), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), server_default=sa.text("'-infinity'"), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name="pk_customer_order"),
    )
    for column in ("name", "first_seen", "last_seen"):
        op.create_index(f"ix_customer_order_{column}", "customer_order", [column, "customer_id"])
    op.create_table(
        "customer_name",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="The trait that says it; two of them joined by +."),
        sa.Column(
            "form",
            sa.Text(collation="C"),
            nullable=False,
            comment="Folded, without spaces, from one of its words or signs on.",
        ),
        sa.Column("words", sa.Text(), comment="The whole with spaces, where the form is the whole."),
        sa.PrimaryKeyConstraint("customer_id", "key", "form", name="pk_customer_name"),
    )
    op.create_index("ix_customer_name_form", "customer_name", ["form", "customer_id"])
    op.create_index(
        "ix_customer_name_words",
        "customer_name",
        ["words"],
        postgresql_ops={"words": "gin_trgm_ops"},
        postgresql_using="gin",
        postgresql_where=sa.text("words IS NOT NULL"),
    )
    _on_others()


def _on_others() -> None:
    op.drop_index("ix_trait_text", "trait")
    op.create_index(
        "ix_customer_traits",
        "customer",
        ["traits"],
        postgresql_using="gin",
        postgresql_ops={"traits": "jsonb_path_ops"},
    )
    op.create_index("ix_customer_tags", "customer", ["tags"], postgresql_using="gin")
    op.create_index(
        "ix_customer_stage", "customer", ["stage", "customer_id"], postgresql_where=sa.text("stage IS NOT NULL")
    )
    op.create_index(
        "ix_membership_segment", "membership", ["segment_id", "customer_id"], postgresql_where=sa.text("member")
    )
    # A row of each customer of today, and what searches walk along: made behind these marks.
    op.execute("INSERT INTO stale (customer_id, live) SELECT via, false FROM identity_map WHERE via = customer_id")


def downgrade() -> None:
    op.drop_index("ix_membership_segment", "membership")
    op.drop_index("ix_customer_stage", "customer")
    op.drop_index("ix_customer_tags", "customer")
    op.drop_index("ix_customer_traits", "customer")
    op.drop_table("customer_name")
    op.drop_table("customer_order")
    op.create_index(
        "ix_trait_text",
        "trait",
        [sa.literal_column("left(value #>> '{}', 200)").label("words")],
        postgresql_ops={"words": "gin_trgm_ops"},
        postgresql_using="gin",
        postgresql_where=sa.text("jsonb_typeof(value) = 'string'"),
    )
    drop_operation_tables()
