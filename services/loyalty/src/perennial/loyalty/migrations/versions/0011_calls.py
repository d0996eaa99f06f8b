"""Spending in one call that calls no other; what a mark of a customer is about."""

import sqlalchemy as sa
from alembic import op

from perennial.common.db.migrations import create_index_concurrently, drop_index_concurrently

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# The whole request of the plain case, as a transaction of one statement: the key is claimed, the points are spent, the
# facts are said and the answer is kept. Null where anything is not plain, and then nothing is done: the caller goes
# the long way, which finds out what it is. `p_who` is a customer of today.
#
# The lock is taken before anything is looked at, by a statement of its own: so each look sees whatever was kept by
# whoever had the lock before. A key that was used is not looked for: its posting bears the same id, and a second one
# makes this fail (unique_violation), and with it all that was done before. Who has several identifiers has their
# accounts held in the order that everybody uses, then looked at; with one, the change of the account is the look.
#
# Answer and facts come as the caller writes them, each broken off where what the statement finds belongs.
SPEND_PLAIN = """
    CREATE FUNCTION spend_plain(
        p_lock bigint, p_key bytea, p_fingerprint bytea, p_id uuid, p_who uuid, p_version integer,
        p_since timestamptz, p_currency text, p_points bigint, p_at timestamptz, p_reason text, p_reference text,
        p_answer text, p_rest text, p_changed_id uuid, p_changed_subject text, p_changed_head jsonb, p_changed text,
        p_changed_rest text, p_spent_id uuid, p_spent_subject text, p_spent_head jsonb, p_spent text
    ) RETURNS bytea LANGUAGE plpgsql AS $$
    DECLARE
        vias uuid[];
        plain boolean;
        others bigint := 0;
        has account;
        answer bytea;
    BEGIN
        IF p_points < 1 OR NOT pg_try_advisory_xact_lock(p_lock) THEN
            RETURN NULL;
        END IF;
        SELECT ARRAY(SELECT o.via FROM identity_map o WHERE o.customer_id = p_who),
               NOT EXISTS (SELECT FROM programme p WHERE p.version > p_version) AND (p_version = 1 OR EXISTS (
                   SELECT FROM programme p WHERE p.version = p_version AND p.valid_from = p_since))
            INTO vias, plain FROM identity_map m WHERE m.via = p_who AND m.customer_id = p_who;
        IF plain IS NOT TRUE OR EXISTS (
            SELECT FROM lot l
            WHERE l.via = ANY(vias) AND NOT l.swept AND l.state = 'active' AND l.expires_at <= p_at
        ) THEN
            RETURN NULL;
        END IF;
        IF cardinality(vias) > 1 THEN
            PERFORM FROM account a WHERE a.via = ANY(vias) AND a.currency = p_currency ORDER BY a.via FOR UPDATE;
            others := (SELECT coalesce(sum(a.balance), 0) FROM account a
                       WHERE a.via = ANY(vias) AND a.via <> p_who AND a.currency = p_currency);
        END IF;
        UPDATE account AS a
            SET balance = a.balance - p_points, spent = a.spent + p_points, version = a.version + 1
            WHERE a.via = p_who AND a.currency = p_currency AND a.balance + others >= p_points
            RETURNING a.* INTO has;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        INSERT INTO posting (id, kind, via, currency, at, points, pending, reason, reference)
            VALUES (p_id, 'spend', p_who, p_currency, p_at, -p_points, 0, p_reason, p_reference);
        answer := convert_to(p_answer || has.balance + others || p_rest, 'UTF8');
        WITH marked AS (
            INSERT INTO stale (customer_id, live, concern) VALUES (p_who, true, '["spent"]')
        ), said AS (
            INSERT INTO outbox (event_id, subject, headers, body) VALUES
                (p_changed_id, p_changed_subject, p_changed_head, convert_to(
                    p_changed || has.balance || ',"pending":' || has.pending || ',"version":' || has.version
                    || p_changed_rest, 'UTF8')),
                (p_spent_id, p_spent_subject, p_spent_head, convert_to(p_spent, 'UTF8'))
        )
        INSERT INTO idempotency (id, fingerprint, status, body) VALUES (p_key, p_fingerprint, 201, answer);
        RETURN answer;
    END $$"""


def upgrade() -> None:
    create_index_concurrently("ix_stale_customer_id", "stale", ["customer_id"])
    op.add_column(
        "stale",
        sa.Column("concern", sa.Text(), comment="What it is about, as a list of words; * and none: anything."),
    )
    op.execute(SPEND_PLAIN)


def downgrade() -> None:
    drop_index_concurrently("ix_stale_customer_id")
    op.execute("DROP FUNCTION spend_plain")
    op.drop_column("stale", "concern")
