"""Erasure."""

from perennial.common.privacy import create_privacy_tables, drop_privacy_tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_privacy_tables()


def downgrade() -> None:
    drop_privacy_tables()
