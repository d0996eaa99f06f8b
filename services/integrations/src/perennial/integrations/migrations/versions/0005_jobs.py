"""When each job ran last."""

from perennial.common.db.migrations import create_job_table, drop_job_table

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_job_table()


def downgrade() -> None:
    drop_job_table()
