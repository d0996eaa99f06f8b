"""When the client sent an event, by its own clock: batches say it once, beside their events."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("sent_at", sa.DateTime(timezone=True), comment="By the client's clock."))


def downgrade() -> None:
    op.drop_column("event", "sent_at")
