"""Sources with versions, rate limits and tracking plans; violations that can be counted and replayed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BACKFILL = """
    INSERT INTO violation_count (source_id, day, code, outcome, name, count)
    SELECT source_id, (at AT TIME ZONE 'UTC')::date, code, 'rejected', '', count(*) FROM violation GROUP BY 1, 2, 3"""


def upgrade() -> None:
    _sources()
    _violations()
    _plans()


def downgrade() -> None:
    op.drop_table("tracking_plan")
    op.drop_table("violation_count")
    op.drop_index("ix_violation_source_id_at", "violation")
    op.drop_constraint("ck_violation_outcome", "violation")
    for column in ("replayed_at", "whole", "envelope", "position", "outcome", "path", "name", "type"):
        op.drop_column("violation", column)
    op.drop_constraint("ck_source_rate_limit", "source")
    for column in ("plan_version", "burst", "events_per_second", "version"):
        op.drop_column("source", column)


def _sources() -> None:
    op.add_column("source", sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False))
    op.add_column("source", sa.Column("events_per_second", sa.Integer(), nullable=True))
    op.add_column("source", sa.Column("burst", sa.Integer(), nullable=True))
    op.add_column("source", sa.Column("plan_version", sa.Integer(), nullable=True))
    op.create_check_constraint(
        "ck_source_rate_limit",
        "source",
        "(events_per_second IS NULL) = (burst IS NULL) AND events_per_second >= 1 AND burst >= 2500",
    )


def _violations() -> None:
    op.add_column("violation", sa.Column("type", sa.Text(), nullable=True))
    op.add_column("violation", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("violation", sa.Column("path", sa.Text(), nullable=True))
    op.add_column("violation", sa.Column("outcome", sa.Text(), server_default="rejected", nullable=False))
    op.add_column("violation", sa.Column("position", sa.Integer(), nullable=True))
    op.add_column("violation", sa.Column("envelope", sa.Text(), nullable=True))
    op.add_column("violation", sa.Column("whole", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("violation", sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint("ck_violation_outcome", "violation", "outcome IN ('rejected', 'allowed', 'omitted')")
    op.create_index("ix_violation_source_id_at", "violation", ["source_id", "at"], unique=False)
    op.create_table(
        "violation_count",
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_violation_count_source_id"),
        sa.PrimaryKeyConstraint("source_id", "day", "code", "outcome", "name", name="pk_violation_count"),
    )
    op.execute(_BACKFILL)


def _plans() -> None:
    op.create_table(
        "tracking_plan",
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_tracking_plan_source_id"),
        sa.PrimaryKeyConstraint("source_id", "version", name="pk_tracking_plan"),
    )
