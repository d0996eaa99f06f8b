"""Erasures are asked for again where a receipt is missing."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _discounts()  # reads every event, so it comes before what locks tables that requests read
    _erasures()
    _baselines()
    _counts()
    _expiring()


def _erasures() -> None:
    comment = "When services without a receipt were asked once more."
    op.add_column("erasure_request", sa.Column("asked_at", sa.DateTime(timezone=True), comment=comment))
    op.create_index(
        "ix_erasure_request_running", "erasure_request", ["id"], postgresql_where=sa.text("state = 'running'")
    )


def _baselines() -> None:
    comment = "As which type values are compared."
    scale = sa.Column("scale", sa.Text(), server_default=sa.text("'plain'"), nullable=False, comment=comment)
    op.add_column("quality_baseline", scale)
    op.add_column("quality_baseline", sa.Column("unit", sa.Text(), comment="The currency of amounts."))


def _counts() -> None:
    op.create_table(
        "shown_count",
        sa.Column("kind", sa.Text(), nullable=False, comment="tag, stage; done: the row of the count itself."),
        sa.Column("ladder", sa.Text(collation="C"), nullable=False, comment="Of a stage."),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "ladder", "key", name="pk_shown_count"),
        comment="How many customers show it.",
    )


# Orders of before, as far as the timeline has them; numbers and texts that spell one.
_PAST = r"""
    INSERT INTO order_discount (source, order_id, via, discount, at, message_id)
    SELECT DISTINCT ON (source, order_id) source, order_id, via, CAST(discount AS numeric), timestamp, message_id
    FROM (SELECT source, via, timestamp, message_id, body #>> '{properties,discount}' AS discount,
                 left(trim(coalesce(body #>> '{properties,order_id}', body #>> '{properties,orderId}')), 255)
                     AS order_id
          FROM event WHERE type = 'track' AND name IN ('Order Completed', 'Order Updated')) AS said
    WHERE order_id <> '' AND discount ~ '^ *-?[0-9]{1,12}([.][0-9]{1,15})? *$'
    ORDER BY source, order_id, timestamp DESC, message_id DESC"""
# The version before, which may run a while yet, can neither read discounts nor count by them: see `upgrading`.
_LATER = """
    INSERT INTO timer (id, kind, key, due_at, payload)
    SELECT gen_random_uuid(), 'discounts', 'upgrade', clock_timestamp() + interval '1 hour', '{}'
    WHERE EXISTS (SELECT FROM event)"""


def _discounts() -> None:
    op.create_table(
        "order_discount",
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("order_id", sa.Text(collation="C"), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("discount", sa.Numeric(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("source", "order_id", name="pk_order_discount"),
        comment="What was taken off an order, as the newest event says that names it.",
    )
    op.create_index("ix_order_discount_via", "order_discount", ["via"])
    op.execute(_PAST)
    op.execute(_LATER)


def _expiring() -> None:
    op.create_table(
        "expiring",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False, comment="When it was announced."),
        sa.PrimaryKeyConstraint("via", "currency", "expires_at", name="pk_expiring"),
    )


def downgrade() -> None:
    op.drop_table("expiring")
    op.drop_table("order_discount")
    op.drop_table("shown_count")
    op.drop_column("quality_baseline", "unit")
    op.drop_column("quality_baseline", "scale")
    op.drop_index("ix_erasure_request_running", "erasure_request")
    op.drop_column("erasure_request", "asked_at")
