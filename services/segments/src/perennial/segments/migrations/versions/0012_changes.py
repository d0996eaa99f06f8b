"""A change of membership is in one index: whoever asks for a customer asks for each segment."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("pk_membership_change", "membership_change", type_="primary")


def downgrade() -> None:
    op.create_primary_key("pk_membership_change", "membership_change", ["customer_id", "id"])
