"""Spending in fewer steps: one call finds the customer, looks, posts and marks; an account is held for less time."""

from importlib import import_module

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# A customer with one identifier, who plainly has the points, is the common case: what can be written before the
# account's lock is, so that others wait for its change and the disk alone. Who finds that the points are gone by then
# takes it all back, and stands in line like everybody else: the customer's accounts are locked in the order that
# everybody uses, then looked at, then changed. The identifiers are read once: a merge in between leaves this spending
# to the customer as it was when it began.
SPEND_POINTS = """
    CREATE OR REPLACE FUNCTION spend_points(
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
        vias := ARRAY(SELECT m.via FROM identity_map m WHERE m.customer_id = customer);
        IF p_via <> ALL (vias) THEN
            vias := vias || p_via;
        END IF;
        IF cardinality(vias) = 1 AND p_points <= (
            SELECT a.balance FROM account a WHERE a.via = p_via AND a.currency = p_currency
        ) THEN
            BEGIN
                INSERT INTO posting (id, kind, via, currency, at, points, pending, reason, reference)
                    VALUES (p_id, 'spend', p_via, p_currency, p_at, -p_points, 0, p_reason, p_reference);
                INSERT INTO entry (posting_id, account, via, lot_id, points)
                    VALUES (p_id, 'customer', p_via, NULL, -p_points), (p_id, 'redemption', NULL, NULL, p_points);
                UPDATE account AS a
                    SET balance = a.balance - p_points, spent = a.spent + p_points, version = a.version + 1
                    WHERE a.via = p_via AND a.currency = p_currency AND a.balance >= p_points
                    RETURNING a.balance, a.balance, a.pending, a.version
                    INTO STRICT available, via_balance, via_pending, via_version;
                outcome := 'posted';
                RETURN;
            EXCEPTION
                WHEN no_data_found OR unique_violation THEN NULL;
            END;
        END IF;
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

# All of a request to spend, in one call. `p_anybody`: `p_who` is the id of any customer there ever was, and today's
# spends; otherwise it is the identifier that spends. Outcomes beyond those of spend_points, and nothing is done then:
#   unknown     nobody has this id
#   programme   another version of the programme is in force than the caller has read (null: any will do)
#   expired     something has expired that nobody has swept: it goes first (then call again, with `p_swept`)
SPEND = """
    CREATE FUNCTION spend(
        p_id uuid, p_who uuid, p_anybody boolean, p_swept boolean, p_version integer, p_since timestamptz,
        p_currency text, p_points bigint, p_at timestamptz, p_reason text, p_reference text,
        OUT outcome text, OUT customer uuid, OUT available bigint,
        OUT via_balance bigint, OUT via_pending bigint, OUT via_version bigint
    ) LANGUAGE plpgsql AS $$
    DECLARE
        owner uuid;
        spender uuid;
    BEGIN
        SELECT m.customer_id INTO owner FROM identity_map m WHERE m.via = p_who;
        IF owner IS NULL THEN
            IF p_anybody AND NOT EXISTS (SELECT FROM identity_map m WHERE m.customer_id = p_who) THEN
                outcome := 'unknown';
                RETURN;
            END IF;
            owner := p_who;
        END IF;
        spender := CASE WHEN p_anybody THEN owner ELSE p_who END;
        IF EXISTS (SELECT FROM programme p WHERE p.version > p_version) OR p_version > 1 AND NOT EXISTS (
            SELECT FROM programme p WHERE p.version = p_version AND p.valid_from = p_since
        ) THEN
            outcome := 'programme';
            RETURN;
        END IF;
        IF NOT p_swept AND EXISTS (
            SELECT FROM lot l
            WHERE l.via = ANY(ARRAY(SELECT m.via FROM identity_map m WHERE m.customer_id = owner) || spender)
              AND NOT l.swept AND l.state = 'active' AND l.expires_at <= p_at
        ) THEN
            outcome := 'expired';
            customer := owner;
            RETURN;
        END IF;
        SELECT s.* INTO outcome, customer, available, via_balance, via_pending, via_version
            FROM spend_points(p_id, spender, p_currency, p_points, p_at, p_reason, p_reference) s;
        IF outcome = 'posted' THEN
            INSERT INTO stale (customer_id, live) VALUES (customer, true);
        END IF;
    END $$"""
# The whole request of the plain case, as a transaction of one statement: the key is claimed, the points are spent, the
# facts are said and the answer is kept. Null where anything is not plain, and then nothing is done: the caller goes
# the long way, which finds out what it is. The lock is taken before anything is looked at, by a statement of its own:
# so the look sees whatever was kept by whoever had the lock before. Answer and facts come with what Python knows of
# them. An answer that is kept in spite of the lock makes this one fail.
SPEND_ONCE = """
    CREATE FUNCTION spend_once(
        p_lock bigint, p_key bytea, p_fingerprint bytea,
        p_id uuid, p_who uuid, p_version integer, p_since timestamptz,
        p_currency text, p_points bigint, p_at timestamptz, p_reason text, p_reference text,
        p_answer jsonb, p_ids uuid[], p_subjects text[], p_heads jsonb[], p_changed jsonb, p_spent jsonb
    ) RETURNS bytea LANGUAGE plpgsql AS $$
    DECLARE
        done record;
        answer bytea;
    BEGIN
        IF NOT pg_try_advisory_xact_lock(p_lock) THEN
            RETURN NULL;
        END IF;
        IF EXISTS (SELECT FROM idempotency i WHERE i.id = p_key) THEN
            RETURN NULL;
        END IF;
        SELECT s.* INTO done FROM spend(
            p_id, p_who, true, false, p_version, p_since, p_currency, p_points, p_at, p_reason, p_reference) s;
        IF done.outcome <> 'posted' THEN
            RETURN NULL;
        END IF;
        answer := convert_to(CAST(p_answer || jsonb_build_object(
            'customer_id', done.customer, 'balance', done.available) AS text), 'UTF8');
        INSERT INTO outbox (event_id, subject, headers, body) VALUES
            (p_ids[1], p_subjects[1], p_heads[1], convert_to(CAST(p_changed || jsonb_build_object(
                'accounts', jsonb_build_array(jsonb_build_object(
                    'via', done.customer, 'currency', p_currency, 'balance', done.via_balance,
                    'pending', done.via_pending, 'version', done.via_version))) AS text), 'UTF8')),
            (p_ids[2], p_subjects[2], p_heads[2], convert_to(CAST(p_spent || jsonb_build_object(
                'via', done.customer, 'customer', done.customer) AS text), 'UTF8'));
        INSERT INTO idempotency (id, fingerprint, status, body) VALUES (p_key, p_fingerprint, 201, answer);
        RETURN answer;
    END $$"""
SIGNATURE = "uuid, uuid, boolean, boolean, integer, timestamptz, text, bigint, timestamptz, text, text"


def upgrade() -> None:
    op.execute(SPEND_POINTS)
    op.execute(SPEND)
    op.execute(SPEND_ONCE)


def downgrade() -> None:
    op.execute("DROP FUNCTION spend_once")
    op.execute(f"DROP FUNCTION spend({SIGNATURE})")
    before: str = import_module("perennial.loyalty.migrations.versions.0004_currencies").SPEND
    op.execute(before.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
