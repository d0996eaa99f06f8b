"""Several currencies of points."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("currency", sa.Text(), server_default=sa.text("'points'"), nullable=False))
    op.drop_constraint("pk_account", "account")
    op.create_primary_key("pk_account", "account", ["via", "currency"])


def downgrade() -> None:
    op.execute("DELETE FROM account WHERE currency <> 'points'")
    op.drop_constraint("pk_account", "account")
    op.create_primary_key("pk_account", "account", ["via"])
    op.drop_column("account", "currency")
