"""Erasure: tombstones."""

import sqlalchemy as sa
from alembic import op

from perennial.common.privacy import create_privacy_tables, drop_privacy_tables

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_privacy_tables()
    op.create_table(
        "tombstone",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="Keyed blind index of kind and value."),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="What happened until then is not taken in any more.",
        ),
        sa.Column(
            "refused",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Events that came too late.",
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_tombstone"),
    )
    op.create_index("ix_tombstone_at", "tombstone", ["at"])


def downgrade() -> None:
    op.drop_table("tombstone")
    drop_privacy_tables()
