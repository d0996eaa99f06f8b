"""What people are recognised by, and the suggestions that come of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "likeness",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False, comment="A field of the matching model, such as last_name."),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="When the event that said it happened."),
        sa.Column("sealed", sa.LargeBinary(), comment="The normalised value, encrypted; null when it was cleared."),
        sa.PrimaryKeyConstraint("via", "field", name="pk_likeness"),
    )
    _suggestion()


def _suggestion() -> None:
    now = sa.text("now()")
    op.create_table(
        "suggestion",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "low", sa.Uuid(), nullable=False,
            comment="Two customers, as they were called when the pair was found.",
        ),
        sa.Column("high", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="pending, approved, rejected or withdrawn"),
        sa.Column("weight", sa.REAL(), nullable=False, comment="Bits."),
        sa.Column("probability", sa.REAL(), nullable=False),
        sa.Column("fields", postgresql.JSONB(), nullable=False, comment="How the two agree, by field; no values."),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("decided_by", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("merge_id", sa.Uuid()),
        sa.PrimaryKeyConstraint("id", name="pk_suggestion"),
        sa.UniqueConstraint("low", "high", name="uq_suggestion_low_high"),
    )  # fmt: skip
    op.create_index("ix_suggestion_high", "suggestion", ["high"])
    op.create_index("ix_suggestion_state", "suggestion", ["state", sa.text("weight DESC"), sa.text("id DESC")])


def downgrade() -> None:
    op.drop_table("suggestion")
    op.drop_table("likeness")
