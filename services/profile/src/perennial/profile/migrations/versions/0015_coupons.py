"""Coupons of a customer."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "coupon",
        sa.Column("source", sa.Text(collation="C"), nullable=False, comment="The service that gave it."),
        sa.Column("coupon_id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", JSONB(), nullable=False, comment="By language."),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "coupon_id", name="pk_coupon"),
        comment="Of whichever service gives some; what is not held any more stays for its version.",
    )
    op.create_index("ix_coupon_via", "coupon", ["via"])


def downgrade() -> None:
    op.drop_table("coupon")
