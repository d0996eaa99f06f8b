"""What a mark concerns."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "stale",
        sa.Column("concern", sa.Text(), comment="What it is about, as a list of words; * and none: anything."),
    )
    op.create_index("ix_stale_anything", "stale", ["customer_id"], postgresql_where=sa.text("concern = '*'"))


def downgrade() -> None:
    op.drop_index("ix_stale_anything", "stale")
    op.drop_column("stale", "concern")
