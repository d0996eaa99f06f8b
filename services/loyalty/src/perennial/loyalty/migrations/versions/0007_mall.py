"""The rewards mall: the catalogue, its codes, redemptions, and points that come back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.privacy import erasable

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KINDS = "kind IN ('earn', 'activate', 'spend', 'return', 'reverse', 'expire', 'adjust')"
KINDS_BEFORE = "kind IN ('earn', 'activate', 'spend', 'reverse', 'expire', 'adjust')"

# Why a customer cannot have a reward now, the plainest reason first. What a list shows and what a reservation is
# refused for is this one function.
REFUSALS = """
    CREATE FUNCTION reward_refusals(
        p_reward uuid, p_customer uuid, p_at timestamptz, p_zone text, p_base_tier text
    ) RETURNS text[] LANGUAGE sql STABLE AS $$
        WITH standing AS (
            SELECT coalesce((SELECT t.tier FROM tier_state t WHERE t.customer_id = p_customer), p_base_tier) AS tier
        ), vias AS (
            SELECT m.via FROM identity_map m WHERE m.customer_id = p_customer UNION SELECT p_customer
        )
        SELECT array_remove(ARRAY[
            CASE WHEN w.state = 'archived' THEN 'archived' END,
            CASE WHEN p_at < w.starts_at THEN 'not_yet' END,
            CASE WHEN p_at >= w.ends_at THEN 'over' END,
            CASE WHEN cardinality(w.tiers) > 0 AND s.tier <> ALL (w.tiers) THEN 'tier' END,
            CASE WHEN EXISTS (
                SELECT FROM jsonb_to_recordset(w.limits) AS l (count bigint, per text, tier text)
                WHERE (l.tier IS NULL OR l.tier = s.tier) AND l.count <= (
                    SELECT count(*) FROM redemption r
                    WHERE r.via IN (SELECT v.via FROM vias v) AND r.reward_id = w.id
                      AND r.state IN ('reserved', 'confirmed', 'fulfilled')
                      AND (l.per = 'ever' OR r.reserved_at >= date_trunc(l.per, p_at, p_zone))))
                THEN 'limit' END,
            CASE WHEN w.taken >= w.stock OR (w.codes AND NOT EXISTS (
                SELECT FROM voucher_code c WHERE c.reward_id = w.id AND c.redemption_id IS NULL))
                THEN 'sold_out' END,
            CASE WHEN w.points > 0 AND w.points > (
                SELECT coalesce(sum(a.balance), 0) FROM account a
                WHERE a.via IN (SELECT v.via FROM vias v) AND a.currency = w.currency)
                THEN 'points' END
        ], NULL)
        FROM reward w CROSS JOIN standing s WHERE w.id = p_reward
    $$"""

# One call. Locks in this order: the customer's identifiers, so that who it is and what they have had stays; their
# accounts, as everybody who posts does; the reward, which many want and which is therefore held last and shortest;
# a code of it. All that can refuse is asked before anything is written.
RESERVE = """
    CREATE FUNCTION reserve_reward(
        p_id uuid, p_reward uuid, p_via uuid, p_points bigint, p_at timestamptz, p_zone text, p_base_tier text,
        OUT outcome text, OUT customer uuid, OUT available bigint,
        OUT via_balance bigint, OUT via_pending bigint, OUT via_version bigint
    ) LANGUAGE plpgsql AS $$
    DECLARE
        w reward;
        refused text[];
        posted text;
    BEGIN
        customer := hold_customer(p_via);
        IF EXISTS (SELECT FROM redemption r WHERE r.id = p_id) THEN
            outcome := 'repeated';
            RETURN;
        END IF;
        LOOP
            SELECT * INTO w FROM reward WHERE reward.id = p_reward;
            IF NOT FOUND THEN
                outcome := 'unknown';
                RETURN;
            END IF;
            PERFORM FROM account a
                WHERE a.via IN (SELECT m.via FROM identity_map m WHERE m.customer_id = customer UNION SELECT p_via)
                  AND a.currency = w.currency
                ORDER BY a.via FOR UPDATE;
            IF p_points <> w.points THEN
                outcome := 'price';
                RETURN;
            END IF;
            refused := reward_refusals(p_reward, customer, p_at, p_zone, p_base_tier);
            IF cardinality(refused) > 0 THEN
                outcome := refused[1];
                RETURN;
            END IF;
            UPDATE reward SET taken = reward.taken + 1
                WHERE reward.id = p_reward AND reward.version = w.version
                  AND (reward.stock IS NULL OR reward.taken < reward.stock);
            EXIT WHEN FOUND;
        END LOOP;
        IF w.codes THEN
            UPDATE voucher_code SET redemption_id = p_id WHERE voucher_code.id = (
                SELECT c.id FROM voucher_code c WHERE c.reward_id = p_reward AND c.redemption_id IS NULL
                ORDER BY c.id LIMIT 1 FOR UPDATE);
            IF NOT FOUND THEN
                UPDATE reward SET taken = reward.taken - 1 WHERE reward.id = p_reward;
                outcome := 'sold_out';
                RETURN;
            END IF;
        END IF;
        IF w.points > 0 THEN
            SELECT s.outcome, s.available, s.via_balance, s.via_pending, s.via_version
                INTO posted, available, via_balance, via_pending, via_version
                FROM spend_points(p_id, p_via, w.currency, w.points, p_at, 'reward', p_id::text) s;
            IF posted <> 'posted' THEN
                RAISE EXCEPTION 'the points of redemption % were not there: %', p_id, posted;
            END IF;
        END IF;
        INSERT INTO redemption (id, reward_id, reward_version, kind, via, points, currency, amount, money,
                                credit_currency, credit_points, state, reserved_at, expires_at)
            VALUES (p_id, p_reward, w.version, w.kind, p_via, w.points, w.currency, w.amount, w.money,
                    w.credit_currency, w.credit_points, 'reserved', p_at,
                    p_at + make_interval(mins => w.hold_minutes));
        outcome := 'reserved';
    END $$"""

# Who an identifier is, for as long as the transaction lasts: no merge takes it elsewhere meanwhile.
HOLD = """
    CREATE FUNCTION hold_customer(p_via uuid) RETURNS uuid LANGUAGE plpgsql AS $$
    DECLARE
        held uuid;
    BEGIN
        IF NOT EXISTS (SELECT FROM identity_map m WHERE m.via = p_via) THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(current_schema() || p_via::text, 0));
        END IF;
        LOOP
            held := coalesce((SELECT m.customer_id FROM identity_map m WHERE m.via = p_via), p_via);
            PERFORM FROM identity_map m WHERE m.customer_id = held ORDER BY m.via FOR UPDATE;
            EXIT WHEN held = coalesce((SELECT m.customer_id FROM identity_map m WHERE m.via = p_via), p_via);
        END LOOP;
        RETURN held;
    END $$"""

ERASE_REDEMPTION_TEXTS = """
    UPDATE redemption SET payment_reference = NULL, note = NULL WHERE id = ANY(ARRAY(
        SELECT id FROM redemption WHERE via = ANY(p_vias)
            AND (payment_reference IS NOT NULL OR note IS NOT NULL) LIMIT p_n))"""


def upgrade() -> None:
    op.drop_constraint(op.f("ck_posting_kind"), "posting")
    op.create_check_constraint(op.f("ck_posting_kind"), "posting", KINDS)
    op.add_column("posting", sa.Column("returns", sa.Uuid()))
    op.create_check_constraint(op.f("ck_posting_returns"), "posting", "(returns IS NOT NULL) = (kind = 'return')")
    op.create_index(
        "ux_posting_returns", "posting", ["returns"], unique=True, postgresql_where=sa.text("returns IS NOT NULL")
    )
    _reward()
    _code()
    _redemption()
    for statement in (REFUSALS, HOLD, RESERVE):
        op.execute(statement)
    erasable("erase_redemption_texts", ERASE_REDEMPTION_TEXTS)


def downgrade() -> None:
    """Fails, and changes nothing, once points were returned: the ledger cannot forget them."""
    op.execute("DROP FUNCTION erase_redemption_texts(uuid[], integer)")
    op.execute("DROP FUNCTION reserve_reward")
    op.execute("DROP FUNCTION reward_refusals")
    op.execute("DROP FUNCTION hold_customer")
    for table in ("redemption", "voucher_code", "reward"):
        op.drop_table(table)
    op.drop_index("ux_posting_returns", "posting")
    op.drop_constraint(op.f("ck_posting_returns"), "posting")
    op.drop_constraint(op.f("ck_posting_kind"), "posting")
    op.create_check_constraint(op.f("ck_posting_kind"), "posting", KINDS_BEFORE)
    op.drop_column("posting", "returns")


def _moment(name: str, *, nullable: bool = True) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _priced() -> "list[sa.Column[object]]":
    return [
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric()),
        sa.Column("money", sa.Text()),
        sa.Column("credit_currency", sa.Text()),
        sa.Column("credit_points", sa.BigInteger()),
    ]


def _reward() -> None:
    op.create_table(
        "reward",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("name", postgresql.JSONB(), nullable=False),
        sa.Column("description", postgresql.JSONB(), nullable=False),
        *_priced(),
        sa.Column("stock", sa.BigInteger()),
        sa.Column("taken", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("codes", sa.Boolean(), nullable=False),
        _moment("starts_at"),
        _moment("ends_at"),
        sa.Column("limits", postgresql.JSONB(), nullable=False),
        sa.Column("tiers", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("hold_minutes", sa.Integer(), nullable=False),
        sa.Column("instant", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("taken >= 0 AND (stock IS NULL OR taken <= stock)", name=op.f("ck_reward_stock")),
        sa.CheckConstraint("points >= 0 AND (amount IS NULL) = (money IS NULL)", name=op.f("ck_reward_price")),
        sa.CheckConstraint("state IN ('active', 'hidden', 'archived')", name=op.f("ck_reward_state")),
        sa.CheckConstraint("kind IN ('goods', 'coupon', 'service', 'credit', 'voucher')", name=op.f("ck_reward_kind")),
    )


def _code() -> None:
    op.create_table(
        "voucher_code",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("reward_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("redemption_id", sa.Uuid()),
    )
    op.create_index("ux_voucher_code", "voucher_code", ["reward_id", "code"], unique=True)
    op.create_index(
        "ix_voucher_code_free", "voucher_code", ["reward_id", "id"], postgresql_where=sa.text("redemption_id IS NULL")
    )
    op.create_index(
        "ux_voucher_code_redemption_id", "voucher_code", ["redemption_id"], unique=True,
        postgresql_where=sa.text("redemption_id IS NOT NULL"),
    )  # fmt: skip


def _redemption() -> None:
    op.create_table(
        "redemption",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("reward_id", sa.Uuid(), nullable=False),
        sa.Column("reward_version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        *_priced(),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        _moment("reserved_at", nullable=False),
        _moment("expires_at", nullable=False),
        _moment("confirmed_at"),
        _moment("fulfilled_at"),
        _moment("ended_at"),
        sa.Column("payment_reference", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.CheckConstraint(
            "state IN ('reserved', 'confirmed', 'fulfilled', 'cancelled', 'expired')", name=op.f("ck_redemption_state")
        ),
    )
    op.create_index("ix_redemption_via", "redemption", ["via", "reward_id"])
    op.create_index("ix_redemption_reserved_at", "redemption", ["reserved_at", "id"])
    op.create_index("ix_redemption_reward_id", "redemption", ["reward_id", "reserved_at", "id"])
    op.create_index("ix_redemption_held", "redemption", ["expires_at"], postgresql_where=sa.text("state = 'reserved'"))
