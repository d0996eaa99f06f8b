"""Long-running operations: replays of violations."""

from perennial.common.operations import create_operation_tables, drop_operation_tables

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_operation_tables()


def downgrade() -> None:
    drop_operation_tables()
