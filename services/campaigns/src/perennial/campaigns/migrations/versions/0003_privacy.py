"""Erasure, and a copy of what customers have consented to."""

import sqlalchemy as sa
from alembic import op

from perennial.common.privacy import create_privacy_tables, drop_privacy_tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_privacy_tables()
    op.create_table(
        "consent",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False, comment="`*`: every channel."),
        sa.Column("state", sa.Text(), nullable=False, comment="given or withdrawn"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("via", "purpose", "channel", name="pk_consent"),
    )


def downgrade() -> None:
    op.drop_table("consent")
    drop_privacy_tables()
