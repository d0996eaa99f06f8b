"""What became of events, counted by source and hour."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_Instant = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "intake_tally",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("hour", _Instant, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_intake_tally"),
        comment="Every batch adds rows, so that none waits for another; a job adds them up.",
    )
    op.create_table(
        "intake",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("hour", _Instant, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "hour", "outcome", name="pk_intake"),
    )


def downgrade() -> None:
    op.drop_table("intake")
    op.drop_table("intake_tally")
