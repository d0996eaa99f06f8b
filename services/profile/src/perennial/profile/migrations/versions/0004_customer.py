"""One derived row for each customer."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column(
            "traits",
            postgresql.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="What the customer shows for each key.",
        ),
        sa.Column(
            "computed",
            postgresql.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="Computed traits by key.",
        ),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("stage", sa.Text(), comment="Of the life cycle."),
        sa.Column("first_seen", sa.DateTime(timezone=True)),
        sa.Column("last_seen", sa.DateTime(timezone=True)),
        sa.Column("events", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("traits_at", sa.DateTime(timezone=True), comment="When the traits were derived."),
        sa.Column("as_of", sa.DateTime(timezone=True), comment="When all else was."),
        sa.PrimaryKeyConstraint("customer_id", name="pk_customer"),
    )


def downgrade() -> None:
    op.drop_table("customer")
