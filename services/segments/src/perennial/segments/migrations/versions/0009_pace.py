"""How long runs of RFM take, when their clusters were found; the marks of a customer, found among a million."""

import sqlalchemy as sa
from alembic import op

from perennial.common.db.migrations import create_index_concurrently, drop_index_concurrently

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_SECONDS = "How long it took: the longer, the later the next one that orders want."
_CAUSES = "day, change, new, asked or settings"
_AT, _OF = "When the centroids were found: by this run, or one before.", "Of how many customers they were found."


def upgrade() -> None:
    create_index_concurrently("ix_stale_customer_id", "stale", ["customer_id"])
    op.alter_column("rfm_scoring", "cause", comment="day, change, new, growth, asked or settings")
    op.add_column("rfm_scoring", sa.Column("seconds", sa.Double(), comment=_SECONDS))
    op.add_column("rfm_model", sa.Column("clustered_at", sa.DateTime(timezone=True), comment=_AT))
    op.add_column("rfm_model", sa.Column("clustered", sa.Integer(), comment=_OF))


def downgrade() -> None:
    drop_index_concurrently("ix_stale_customer_id")
    op.drop_column("rfm_model", "clustered")
    op.drop_column("rfm_model", "clustered_at")
    op.drop_column("rfm_scoring", "seconds")
    op.alter_column("rfm_scoring", "cause", comment=_CAUSES)
