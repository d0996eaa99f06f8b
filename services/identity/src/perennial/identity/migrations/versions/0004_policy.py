"""The policy in versions, identifiers that belong to several people, and conflicts that a person decides."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import append_only

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
COMMENTS = (
    ("conflict", "reason", "two_user_ids, limit, separated or approval"),
    ("map_change", "cause", "attached, merged, separated, shared, renamed or split"),
    ("map_change", "rule", "Version of the policy that decided."),
)


def upgrade() -> None:
    op.create_table(
        "policy",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("definition", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_policy"),
    )
    append_only("policy")
    op.create_table(
        "met",
        sa.Column(
            "via", sa.Uuid(), nullable=False,
            comment="An identifier that was seen beside a user id not its customer's.",
        ),
        sa.Column("user_via", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("via", "user_via", name="pk_met"),
    )  # fmt: skip
    op.create_table(
        "shared",
        sa.Column(
            "via", sa.Uuid(), nullable=False,
            comment="An identifier that belongs to several people: it joins nobody.",
        ),
        sa.Column("event_id", sa.Uuid(), comment="The event that showed it; null when a person has said so."),
        sa.Column("shared_by", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("via", name="pk_shared"),
    )  # fmt: skip
    op.add_column(
        "conflict",
        sa.Column("state", sa.Text(), server_default="open", nullable=False, comment="open, approved or dismissed"),
    )
    op.add_column("conflict", sa.Column("decided_at", sa.DateTime(timezone=True)))
    op.add_column("conflict", sa.Column("decided_by", sa.Text()))
    op.add_column("conflict", sa.Column("decision", sa.Text(), comment="Why a person has decided so."))
    op.add_column("conflict", sa.Column("merge_id", sa.Uuid()))
    for table, column, comment in COMMENTS:
        op.alter_column(table, column, comment=comment)


def downgrade() -> None:
    for column in ("merge_id", "decision", "decided_by", "decided_at", "state"):
        op.drop_column("conflict", column)
    for table in ("shared", "met", "policy"):
        op.drop_table(table)
