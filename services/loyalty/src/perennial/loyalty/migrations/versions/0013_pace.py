"""Postings at less cost: an order's lots are found by whose they are and when, postings by whose they are alone."""

import sqlalchemy as sa
from alembic import op

from perennial.common.db.migrations import create_index_concurrently, drop_index_concurrently

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Until its last process ends, the version before finds the lots of what is refunded by reading all lots."""
    create_index_concurrently("ix_posting_by_via", "posting", ["via"])
    drop_index_concurrently("ix_posting_via")
    drop_index_concurrently("ix_lot_purchase_id")
    op.execute("ALTER TABLE outbox ALTER COLUMN body SET STORAGE EXTERNAL")  # packs are compressed already


def downgrade() -> None:
    create_index_concurrently("ix_posting_via", "posting", ["via", "at", "id"])
    drop_index_concurrently("ix_posting_by_via")
    create_index_concurrently(
        "ix_lot_purchase_id", "lot", ["purchase_id"], postgresql_where=sa.text("purchase_id IS NOT NULL")
    )
    op.execute("ALTER TABLE outbox ALTER COLUMN body SET STORAGE EXTENDED")
