"""Room on the pages of what every batch updates: a new version of a row stays on its page, and no index is touched."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

UPDATED = ("counter", "activity", "trait", "customer")


def upgrade() -> None:
    for table in UPDATED:
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 70)")


def downgrade() -> None:
    for table in UPDATED:
        op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
