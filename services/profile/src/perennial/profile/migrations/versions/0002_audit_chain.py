"""Each row of the audit trail is bound to the one before it."""

from perennial.common.db.migrations import chain_audit, unchain_audit

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    chain_audit()


def downgrade() -> None:
    unchain_audit()
