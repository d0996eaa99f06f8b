"""Erasures are asked for again where a receipt is missing."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _erasures()
    _baselines()
    _counts()


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


def downgrade() -> None:
    op.drop_table("shown_count")
    op.drop_column("quality_baseline", "unit")
    op.drop_column("quality_baseline", "scale")
    op.drop_index("ix_erasure_request_running", "erasure_request")
    op.drop_column("erasure_request", "asked_at")
