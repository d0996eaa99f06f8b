"""Several currencies: points, growth value, stored credit; what is announced of their expiry."""

from importlib import import_module

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SIGNATURE = "uuid, uuid, text, bigint, timestamptz, text, text"
PER_CURRENCY = ("completed_points", "updated_points", "earned", "reversed")

# One call: the customer's accounts are locked in the order that everybody uses, then looked at, then changed. The
# identifiers are read once: a merge in between leaves this spending to the customer as it was when it began.
SPEND = """
    CREATE FUNCTION spend_points(
        p_id uuid, p_via uuid, p_currency text, p_points bigint, p_at timestamptz, p_reason text, p_reference text,
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
        PERFORM FROM account a WHERE a.via = ANY(vias) AND a.currency = p_currency ORDER BY a.via FOR UPDATE;
        available := (SELECT coalesce(sum(a.balance), 0) FROM account a
                      WHERE a.via = ANY(vias) AND a.currency = p_currency);
        IF EXISTS (SELECT FROM posting p WHERE p.id = p_id) THEN
            outcome := 'repeated';
            RETURN;
        END IF;
        IF available < p_points THEN
            outcome := 'insufficient';
            RETURN;
        END IF;
        INSERT INTO posting (id, kind, via, currency, at, points, pending, reason, reference)
            VALUES (p_id, 'spend', p_via, p_currency, p_at, -p_points, 0, p_reason, p_reference);
        INSERT INTO entry (posting_id, account, via, lot_id, points)
            VALUES (p_id, 'customer', p_via, NULL, -p_points), (p_id, 'redemption', NULL, NULL, p_points);
        INSERT INTO account AS a (via, currency, balance, spent) VALUES (p_via, p_currency, -p_points, p_points)
            ON CONFLICT (via, currency) DO UPDATE SET
                balance = a.balance - p_points, spent = a.spent + p_points, version = a.version + 1
            RETURNING a.balance, a.pending, a.version INTO via_balance, via_pending, via_version;
        available := available - p_points;
        outcome := 'posted';
    END $$"""


def upgrade() -> None:
    for table in ("posting", "account", "lot"):
        op.add_column(table, sa.Column("currency", sa.Text(), server_default=sa.text("'points'"), nullable=False))
    op.drop_constraint("pk_account", "account")
    op.create_primary_key("pk_account", "account", ["via", "currency"])
    for column in PER_CURRENCY:
        op.execute(f"ALTER TABLE purchase ALTER {column} DROP DEFAULT")
        op.execute(
            f"ALTER TABLE purchase ALTER {column} TYPE jsonb USING CASE WHEN {column} IS NULL THEN NULL "
            f"WHEN {column} = 0 THEN '{{}}' ELSE jsonb_build_object('points', {column}) END"
        )
    for column in ("earned", "reversed"):
        op.alter_column("purchase", column, server_default=sa.text("'{}'"), existing_type=postgresql.JSONB())
    op.execute("DROP FUNCTION spend_points(uuid, uuid, bigint, timestamptz, text, text)")
    op.execute(SPEND)
    op.create_table(
        "expiry_notice",
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("lot_id", "expires_at", "days", name="pk_expiry_notice"),
    )
    op.create_index("ix_expiry_notice_expires_at", "expiry_notice", ["expires_at"])


def downgrade() -> None:
    """Fails, and changes nothing, once an account has a second currency: the old tables have no place for it."""
    op.drop_table("expiry_notice")
    op.execute(f"DROP FUNCTION spend_points({SIGNATURE})")
    op.execute(import_module("perennial.loyalty.migrations.versions.0001_first").SPEND)
    for column in PER_CURRENCY:
        op.execute(f"ALTER TABLE purchase ALTER {column} DROP DEFAULT")
        op.execute(
            f"ALTER TABLE purchase ALTER {column} TYPE bigint USING CASE WHEN {column} IS NULL THEN NULL "
            f"ELSE coalesce(({column} ->> 'points')::bigint, 0) END"
        )
    for column in ("earned", "reversed"):
        op.alter_column("purchase", column, server_default=sa.text("0"), existing_type=sa.BigInteger())
    op.drop_constraint("pk_account", "account")
    op.create_primary_key("pk_account", "account", ["via"])
    for table in ("posting", "account", "lot"):
        op.drop_column(table, "currency")
