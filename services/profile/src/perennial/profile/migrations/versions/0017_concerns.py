"""What a mark of a customer is about."""

import sqlalchemy as sa
from alembic import op

from perennial.common.db.migrations import create_index_concurrently, drop_index_concurrently

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index_concurrently("ix_stale_live_at", "stale", [sa.text("live DESC"), "at"])
    create_index_concurrently("ix_stale_customer_id", "stale", ["customer_id"])
    op.add_column(
        "stale",
        sa.Column("concern", sa.Text(), comment="What it is about, as a list of words; * and none: anything."),
    )


def downgrade() -> None:
    drop_index_concurrently("ix_stale_customer_id")
    drop_index_concurrently("ix_stale_live_at")
    op.drop_column("stale", "concern")
