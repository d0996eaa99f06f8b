"""Customers by a hash, for estimates in large shops."""

import sqlalchemy as sa

from perennial.common.db.migrations import create_index_concurrently, drop_index_concurrently

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index_concurrently("ix_identity_map_hash", "identity_map", [sa.text("uuid_hash(customer_id)")])


def downgrade() -> None:
    drop_index_concurrently("ix_identity_map_hash")
