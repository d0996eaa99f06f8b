"""Endpoints name the fields that they get in clear; what was sent is kept as it was sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _fields(*, nullable: bool = False) -> "sa.Column[object]":
    default = None if nullable else sa.text("'{}'")
    return sa.Column("fields", postgresql.ARRAY(sa.Text), nullable=nullable, server_default=default)


def upgrade() -> None:
    op.add_column("webhook", _fields())
    op.add_column("delivery", _fields(nullable=True))
    op.add_column("delivery", sa.Column("body", sa.LargeBinary))
    op.add_column("attempt", _fields())
    op.alter_column("webhook", "personal", server_default=sa.false())
    op.execute("UPDATE webhook SET fields = '{*}' WHERE personal")
    op.execute("UPDATE attempt SET fields = '{*}' FROM webhook w WHERE w.id = webhook_id AND w.personal")


def downgrade() -> None:
    op.alter_column("webhook", "personal", server_default=None)
    op.drop_column("attempt", "fields")
    op.drop_column("delivery", "body")
    op.drop_column("delivery", "fields")
    op.drop_column("webhook", "fields")
