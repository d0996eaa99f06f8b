"""What a mark concerns."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_HELD = "Held while it is written: a foreign key looks once more."


def upgrade() -> None:
    op.add_column(
        "stale",
        sa.Column("concern", sa.Text(), comment="What it is about, as a list of words; * and none: anything."),
    )
    op.create_index("ix_stale_anything", "stale", ["customer_id"], postgresql_where=sa.text("concern = '*'"))
    op.drop_constraint("fk_membership_segment_id", "membership", type_="foreignkey")
    op.alter_column("membership", "segment_id", comment=_HELD)
    op.drop_constraint("pk_membership_change", "membership_change", type_="primary")
    op.create_primary_key("pk_membership_change", "membership_change", ["customer_id", "id"])
    op.drop_index("ix_membership_change_customer_id", "membership_change")


def downgrade() -> None:
    op.create_index("ix_membership_change_customer_id", "membership_change", ["customer_id"])
    op.drop_constraint("pk_membership_change", "membership_change", type_="primary")
    op.create_primary_key("pk_membership_change", "membership_change", ["id"])
    op.alter_column("membership", "segment_id", comment=None)
    op.create_foreign_key("fk_membership_segment_id", "membership", "segment", ["segment_id"], ["id"])
    op.drop_index("ix_stale_anything", "stale")
    op.drop_column("stale", "concern")
