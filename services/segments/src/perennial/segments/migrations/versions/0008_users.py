"""Who uses a segment."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "segment_user",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="A word of that service."),
        sa.Column("segments", postgresql.ARRAY(sa.Uuid()), nullable=False, comment="None: it asks for none any more."),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("service", "kind", "id", name="pk_segment_user"),
        comment="Rules of other services, and which segments they ask for.",
    )


def downgrade() -> None:
    op.drop_table("segment_user")
