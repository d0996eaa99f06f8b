"""Customers by a hash, for estimates in large shops."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_identity_map_hash", "identity_map", [sa.text("uuid_hash(customer_id)")])


def downgrade() -> None:
    op.drop_index("ix_identity_map_hash", "identity_map")
