"""The currency of a run; how long changes of membership are kept. What no version counts in any more is gone."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_CURRENCY = "The deployment's, by which the trait `rfm` was said from when it served."
_CAUSES = "day, change, new, growth, asked or settings"
_SINCE, _SWEPT = (
    "Who was in before it is told no more.",
    "Of what was before it only entries that still counted then are left.",
)


def upgrade() -> None:
    op.add_column("rfm_scoring", sa.Column("currency", sa.Text(), comment=_CURRENCY))
    op.alter_column("rfm_scoring", "cause", comment="day, change, new, growth, asked, settings or currency")
    op.create_table(
        "history_keeping",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="1: the one row"),
        sa.Column("changes_since", sa.DateTime(timezone=True), nullable=False, comment=_SINCE),
        sa.Column("changes_swept", sa.DateTime(timezone=True), comment=_SWEPT),
        sa.PrimaryKeyConstraint("id", name="pk_history_keeping"),
    )
    op.drop_table("rfm_run")


def downgrade() -> None:
    op.create_table(
        "rfm_run",
        sa.Column("id", sa.Integer(), nullable=False, comment="1: the one row"),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customers", sa.Integer(), nullable=False),
        sa.Column("orders", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rfm_run"),
    )
    op.drop_table("history_keeping")
    op.alter_column("rfm_scoring", "cause", comment=_CAUSES)
    op.drop_column("rfm_scoring", "currency")
