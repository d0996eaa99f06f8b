"""Paid membership, referral, and what a split leaves owed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.privacy import erasable

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = (
    "split_debt",
    "membership_event", "membership", "member_saving",
    "referral_code", "referral_touch", "referral_signal", "referral",
)  # fmt: skip

ERASE_REFERRAL_TEXTS = """
    UPDATE referral SET note = NULL WHERE id = ANY(ARRAY(
        SELECT id FROM referral WHERE (via = ANY(p_vias) OR friend = ANY(p_vias)) AND note IS NOT NULL LIMIT p_n))"""
ERASE_DEBT_TEXTS = """
    UPDATE split_debt SET note = NULL WHERE id = ANY(ARRAY(
        SELECT id FROM split_debt WHERE (via = ANY(p_vias) OR lender = ANY(p_vias)) AND note IS NOT NULL LIMIT p_n))"""


def upgrade() -> None:
    _debts()
    _memberships()
    _touches()
    _referrals()
    erasable("erase_referral_texts", ERASE_REFERRAL_TEXTS)
    erasable("erase_debt_texts", ERASE_DEBT_TEXTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION erase_debt_texts(uuid[], integer)")
    op.execute("DROP FUNCTION erase_referral_texts(uuid[], integer)")
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP SEQUENCE membership_version")


def _uuid(name: str, *, key: bool = False, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.Uuid(), primary_key=key, nullable=nullable)


def _words(name: str, *, key: bool = False, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.Text(), primary_key=key, nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _flag(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False)


def _decided() -> "list[sa.Column[object]]":
    return [_words("decided_by", nullable=True), _moment("decided_at", nullable=True), _words("note", nullable=True)]


def _debts() -> None:
    op.create_table(
        "split_debt",
        _uuid("id", key=True),
        _uuid("posting_id"),
        _uuid("via"),
        _uuid("lender"),
        _words("currency"),
        sa.Column("points", sa.BigInteger(), nullable=False),
        _words("state"),
        _moment("at"),
        _uuid("lot_id", nullable=True),
        *_decided(),
        sa.CheckConstraint("points > 0", name=op.f("ck_split_debt_points")),
        sa.CheckConstraint("state IN ('debt', 'review', 'waived', 'rejoined')", name=op.f("ck_split_debt_state")),
        sa.CheckConstraint("state <> 'waived' OR lot_id IS NOT NULL", name=op.f("ck_split_debt_lot")),
    )
    op.create_index("ix_split_debt_via", "split_debt", ["via"])
    op.create_index("ix_split_debt_lender", "split_debt", ["lender"])
    op.create_index("ix_split_debt_at", "split_debt", ["at", "id"])


def _memberships() -> None:
    op.execute("CREATE SEQUENCE membership_version")
    op.create_table(
        "membership_event",
        _uuid("id", key=True),
        _words("plan", key=True),
        _uuid("via"),
        _moment("at"),
        _words("kind"),
        _words("source"),
        _words("payment"),
        sa.Column("amount", sa.Numeric()),
        sa.Column("order_amount", sa.Numeric()),
        _words("money"),
        sa.Column("quantity", sa.Integer(), nullable=False),
        _words("refund"),
        _flag("immediate"),
        sa.CheckConstraint(
            "kind IN ('paid', 'trial', 'failed', 'cancelled', 'refunded')", name=op.f("ck_membership_event_kind")
        ),
    )
    op.create_index("ix_membership_event_via", "membership_event", ["via", "at"])
    op.create_index("ix_membership_event_payment", "membership_event", ["payment", "source"])
    op.create_table(
        "membership",
        _uuid("customer_id", key=True),
        _words("plan", key=True),
        _words("state"),
        _moment("since"),
        _moment("until"),
        _moment("ends_at"),
        _flag("renews"),
        sa.Column("refund_due", sa.Numeric(), nullable=False),
        _words("money"),
        sa.Column("benefits", postgresql.JSONB(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('trial', 'active', 'grace', 'lapsed', 'cancelled', 'refunded')",
            name=op.f("ck_membership_state"),
        ),
    )
    op.create_index("ix_membership_plan", "membership", ["plan", "state"])
    op.create_table(
        "member_saving",
        _uuid("id", key=True),
        _uuid("via"),
        _uuid("by"),
        _moment("at"),
        sa.Column("discount", sa.Numeric(), nullable=False),
        sa.Column("shipping", sa.Numeric(), nullable=False),
        _words("money"),
    )
    op.create_index("ix_member_saving_via", "member_saving", ["via", "at"])


def _touches() -> None:
    op.create_table("referral_code", _words("code", key=True), _uuid("via"), _moment("made_at"))
    op.create_index("ux_referral_code_via", "referral_code", ["via"], unique=True)
    op.create_table(
        "referral_touch", _uuid("id", key=True), _uuid("via"), _words("code"), _words("kind"), _moment("at")
    )
    op.create_index("ix_referral_touch_via", "referral_touch", ["via", "at"])
    op.create_index("ix_referral_touch_code", "referral_touch", ["code"])
    op.create_table(
        "referral_signal",
        _uuid("via", key=True),
        _words("kind", key=True),
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        _moment("at"),
    )


def _referrals() -> None:
    op.create_table(
        "referral",
        _uuid("id", key=True),
        _uuid("purchase_id"),
        _words("code"),
        _uuid("via"),
        _uuid("friend"),
        _moment("touched_at"),
        _moment("qualified_at"),
        _moment("due_at"),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("rewards", postgresql.JSONB(), nullable=False),
        _words("state"),
        sa.Column("reasons", postgresql.ARRAY(sa.Text()), nullable=False),
        _flag("matured"),
        _flag("booked"),
        sa.Column("round", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        _words("decision", nullable=True),
        *_decided(),
        sa.CheckConstraint(
            "state IN ('pending', 'held', 'rewarded', 'reversed', 'rejected', 'void')", name=op.f("ck_referral_state")
        ),
        sa.CheckConstraint("booked = (state = 'rewarded')", name=op.f("ck_referral_booked")),
        sa.CheckConstraint("decision IN ('approved', 'rejected')", name=op.f("ck_referral_decision")),
    )
    op.create_index("ux_referral_purchase_id", "referral", ["purchase_id"], unique=True)
    op.create_index("ix_referral_via", "referral", ["via", "qualified_at"])
    op.create_index("ix_referral_friend", "referral", ["friend"])
    op.create_index("ix_referral_qualified_at", "referral", ["qualified_at", "id"])
