"""The ledger, its lots, orders, tiers, the programme."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import append_only, create_common_tables, drop_common_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("posting", "entry", "account", "lot", "lot_use", "purchase", "refund", "tier_state", "programme")

# Whoever writes entries, by whatever statement: both legs of a posting come together, or not at all.
BALANCED = """
    CREATE FUNCTION entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        bad uuid;
    BEGIN
        SELECT posting_id INTO bad FROM added GROUP BY posting_id HAVING sum(points) <> 0 LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'the entries of posting % do not sum to zero', bad USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$"""
BALANCED_TRIGGER = """
    CREATE TRIGGER entries_balance AFTER INSERT ON entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION entries_balance()"""

# One call: the customer's accounts are locked in the order that everybody uses, then looked at, then changed. The
# identifiers are read once: a merge in between leaves this spending to the customer as it was when it began.
SPEND = """
    CREATE FUNCTION spend_points(
        p_id uuid, p_via uuid, p_points bigint, p_at timestamptz, p_reason text, p_reference text,
        OUT outcome text, OUT customer uuid, OUT available bigint,
        OUT via_balance bigint, OUT via_pending bigint, OUT via_version bigint
    ) LANGUAGE plpgsql AS $$
    DECLARE
        vias uuid[];
    BEGIN
        IF p_points < 1 THEN
            RAISE EXCEPTION 'points must be above 0' USING ERRCODE = 'check_violation';
        END IF;
        customer := coalesce((SELECT m.customer_id FROM identity_map m WHERE m.via = p_via), p_via);
        vias := ARRAY(SELECT m.via FROM identity_map m WHERE m.customer_id = customer) || p_via;
        PERFORM FROM account a WHERE a.via = ANY(vias) ORDER BY a.via FOR UPDATE;
        available := (SELECT coalesce(sum(a.balance), 0) FROM account a WHERE a.via = ANY(vias));
        IF EXISTS (SELECT FROM posting p WHERE p.id = p_id) THEN
            outcome := 'repeated';
            RETURN;
        END IF;
        IF available < p_points THEN
            outcome := 'insufficient';
            RETURN;
        END IF;
        INSERT INTO posting (id, kind, via, at, points, pending, reason, reference)
            VALUES (p_id, 'spend', p_via, p_at, -p_points, 0, p_reason, p_reference);
        INSERT INTO entry (posting_id, account, via, lot_id, points)
            VALUES (p_id, 'customer', p_via, NULL, -p_points), (p_id, 'redemption', NULL, NULL, p_points);
        INSERT INTO account AS a (via, balance, spent) VALUES (p_via, -p_points, p_points)
            ON CONFLICT (via) DO UPDATE SET
                balance = a.balance - p_points, spent = a.spent + p_points, version = a.version + 1
            RETURNING a.balance, a.pending, a.version INTO via_balance, via_pending, via_version;
        available := available - p_points;
        outcome := 'posted';
    END $$"""


def upgrade() -> None:
    create_common_tables()
    _ledger()
    _lots()
    _orders()
    _tiers()
    for statement in (BALANCED, BALANCED_TRIGGER, SPEND):
        op.execute(statement)
    append_only("posting", "entry", "programme")


def downgrade() -> None:
    op.execute("DROP FUNCTION spend_points")
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION entries_balance")
    op.execute("DROP SEQUENCE tier_version")
    drop_common_tables()


def _points(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _ledger() -> None:
    op.create_table(
        "posting",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        _moment("at"),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text()),
        sa.CheckConstraint(
            "kind IN ('earn', 'activate', 'spend', 'reverse', 'expire', 'adjust')", name=op.f("ck_posting_kind")
        ),
    )
    op.create_index("ix_posting_via", "posting", ["via", "at", "id"])
    create_entries()
    op.create_table(
        "account",
        sa.Column("via", sa.Uuid(), primary_key=True),
        *map(_points, ("balance", "pending", "earned", "spent", "reversed", "expired", "adjusted")),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
    )


def create_entries() -> None:
    """The legs of postings."""
    op.create_table(
        "entry",
        sa.Column("posting_id", sa.Uuid(), primary_key=True),
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("via", sa.Uuid()),
        sa.Column("lot_id", sa.Uuid()),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "account IN ('customer', 'pending', 'issuance', 'redemption', 'breakage', 'adjustment')",
            name=op.f("ck_entry_account"),
        ),
        sa.CheckConstraint("(via IS NOT NULL) = (account IN ('customer', 'pending'))", name=op.f("ck_entry_via")),
    )
    unlinked = sa.text("lot_id IS NULL AND via IS NOT NULL")
    op.create_index("ix_entry_unlinked", "entry", ["via"], postgresql_where=unlinked)


def _lots() -> None:
    op.create_table(
        "lot",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("posting_id", sa.Uuid(), nullable=False),
        sa.Column("purchase_id", sa.Uuid()),
        sa.Column("points", sa.BigInteger(), nullable=False),
        _points("reversed"),
        _points("expired"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("qualifies", sa.Boolean(), nullable=False),
        _moment("earned_at"),
        _moment("active_at"),
        _moment("expires_at", nullable=True),
        sa.Column("swept", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'active')", name=op.f("ck_lot_state")),
        sa.CheckConstraint(
            "points > 0 AND reversed >= 0 AND expired >= 0 AND reversed + expired <= points",
            name=op.f("ck_lot_standing"),
        ),
    )
    op.create_index("ix_lot_via", "lot", ["via", "earned_at"])
    op.create_index("ix_lot_swept", "lot", ["via"], postgresql_where=sa.text("swept"))
    for name, column, where in (
        ("ix_lot_purchase_id", "purchase_id", "purchase_id IS NOT NULL"),
        ("ix_lot_pending", "active_at", "state = 'pending'"),
        ("ix_lot_expiring", "expires_at", "NOT swept AND expires_at IS NOT NULL"),
    ):
        op.create_index(name, "lot", [column], postgresql_where=sa.text(where))
    op.create_table(
        "lot_use",
        sa.Column("posting_id", sa.Uuid(), primary_key=True),
        sa.Column("lot_id", sa.Uuid(), primary_key=True),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("points > 0", name=op.f("ck_lot_use_points")),
    )
    op.create_index("ix_lot_use_lot_id", "lot_use", ["lot_id"])


def _stated(prefix: str) -> "list[sa.Column[object]]":
    return [
        _moment(f"{prefix}_at", nullable=True),
        sa.Column(f"{prefix}_by", sa.Uuid()),
        sa.Column(f"{prefix}_amount", sa.Numeric(16, 2)),
        sa.Column(f"{prefix}_points", sa.BigInteger()),
    ]


def _orders() -> None:
    op.create_table(
        "purchase",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("via", sa.Uuid()),
        *_stated("completed"),
        *_stated("updated"),
        _points("earned"),
        _points("reversed"),
    )
    op.create_table(
        "refund",
        sa.Column("purchase_id", sa.Uuid(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        _moment("at"),
        sa.Column("amount", sa.Numeric(16, 2)),
    )


def _tiers() -> None:
    op.execute("CREATE SEQUENCE tier_version")
    op.create_table(
        "tier_state",
        sa.Column("customer_id", sa.Uuid(), primary_key=True),
        sa.Column("tier", sa.Text(), nullable=False),
        _moment("since"),
        sa.Column("points", sa.BigInteger(), nullable=False),
        _moment("review_at", nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_tier_state_tier", "tier_state", ["tier"])
    op.create_index(
        "ix_tier_state_review_at", "tier_state", ["review_at"], postgresql_where=sa.text("review_at IS NOT NULL")
    )
    op.create_table(
        "programme",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("definition", postgresql.JSONB(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
    )
