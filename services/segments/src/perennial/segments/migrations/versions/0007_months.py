"""Builds note whom derivations touch meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "build",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", name="pk_build"),
        comment="Builds for which derivations note whom they touch.",
    )
    op.create_table(
        "build_touched",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name="pk_build_touched"),
    )


def downgrade() -> None:
    op.drop_table("build_touched")
    op.drop_table("build")
