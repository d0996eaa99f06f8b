"""Endpoints, secrets, messages, deliveries, attempts, and the tables that every service has."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import create_common_tables, drop_common_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _created_at(name: str = "created_at") -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def _webhook_id(*, primary_key: bool = False, index: bool = False) -> "sa.Column[object]":
    reference = sa.ForeignKey("webhook.id", ondelete="CASCADE")
    return sa.Column("webhook_id", sa.Uuid, reference, nullable=False, primary_key=primary_key, index=index)


def upgrade() -> None:
    create_common_tables()
    _endpoints()
    _deliveries()


def _endpoints() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("event_types", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("personal", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("paused_until", sa.DateTime(timezone=True)),
        sa.Column("version", sa.Integer, nullable=False),
        _created_at(),
    )
    op.create_table(
        "webhook_secret",
        sa.Column("id", sa.Uuid, primary_key=True),
        _webhook_id(index=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        _created_at(),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
    )


def _deliveries() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("personal_body", sa.LargeBinary),
        _created_at(),
    )
    op.create_index("ix_message_created_at", "message", ["created_at"])
    op.create_table(
        "delivery",
        _webhook_id(primary_key=True),
        sa.Column("message_id", sa.Uuid, sa.ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        _created_at("next_at"),
    )
    pending = sa.text("state = 'pending'")
    op.create_index("ix_delivery_due", "delivery", ["webhook_id", "next_at"], postgresql_where=pending)
    op.create_index("ix_delivery_message_id", "delivery", ["message_id"])
    op.create_table(
        "attempt",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        _webhook_id(),
        sa.Column("message_id", sa.Uuid, nullable=False),
        _created_at("at"),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("latency_ms", sa.Integer, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
    )
    op.create_index("ix_attempt_at", "attempt", ["at"])
    op.create_index("ix_attempt_webhook_id_id", "attempt", ["webhook_id", "id"])


def downgrade() -> None:
    for table in ("attempt", "delivery", "message", "webhook_secret", "webhook"):
        op.drop_table(table)
    drop_common_tables()
