"""A posting names its lot, and with that says both legs: `entry` is a view of postings, no table beside them."""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

from perennial.common.db.migrations import append_only, create_index_concurrently
from perennial.common.privacy import erasable

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FILL_AT_ONCE = 10_000
FIRST = "00000000-0000-0000-0000-000000000000"

# Each a function of a row of `posting` alone: so no posting has one leg without the other. Activating moves points
# between the customer's own two accounts, and has none of the programme's.
LEGS = """
    SELECT id AS posting_id, 'customer' AS account, via, lot_id, points FROM posting WHERE points <> 0
    UNION ALL
    SELECT id, 'pending', via, lot_id, pending FROM posting WHERE pending <> 0
    UNION ALL
    SELECT id,
           CASE kind WHEN 'earn' THEN 'issuance' WHEN 'reverse' THEN 'issuance' WHEN 'spend' THEN 'redemption'
                     WHEN 'return' THEN 'redemption' WHEN 'expire' THEN 'breakage' ELSE 'adjustment' END,
           CAST(NULL AS uuid), lot_id, -(points + pending)
    FROM posting WHERE points + pending <> 0 AND kind <> 'activate'"""
ENTRY = f"CREATE VIEW entry WITH (security_invoker = true) AS {LEGS}"

# The version before writes legs, and postings that name no lot, by one statement whose parts run in any order. What
# the legs name is kept aside until the statement ends, and is the posting's then.
FILE_LOT = """
    CREATE FUNCTION file_lot() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.lot_id IS NOT NULL THEN
            INSERT INTO entry_lot (posting_id, lot_id) VALUES (NEW.posting_id, NEW.lot_id) ON CONFLICT DO NOTHING;
        END IF;
        RETURN NEW;
    END $$"""
FILED = "CREATE TRIGGER file_lot INSTEAD OF INSERT ON entry FOR EACH ROW EXECUTE FUNCTION file_lot()"
TAKE_LOT = """
    CREATE FUNCTION take_lot() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
    BEGIN
        WITH filed AS (DELETE FROM entry_lot WHERE posting_id = NEW.id RETURNING lot_id)
        UPDATE posting SET lot_id = filed.lot_id FROM filed WHERE id = NEW.id;
        RETURN NULL;
    END $$"""
TAKEN = """
    CREATE TRIGGER take_lot AFTER INSERT ON posting FOR EACH ROW
    WHEN (NEW.lot_id IS NULL AND NEW.kind NOT IN ('spend', 'return')) EXECUTE FUNCTION take_lot()"""

# While older postings are being filled, what is posted meanwhile is filled at once.
TELL_LOTS = """
    CREATE OR REPLACE FUNCTION tell_lots() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
    BEGIN
        UPDATE posting SET lot_id = a.lot_id
        FROM (SELECT DISTINCT posting_id, lot_id FROM added WHERE lot_id IS NOT NULL) a
        WHERE id = a.posting_id AND posting.lot_id IS NULL;
        RETURN NULL;
    END $$"""
TOLD = """
    CREATE OR REPLACE TRIGGER tell_lots AFTER INSERT ON entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tell_lots()"""
FILL = """
    WITH part AS MATERIALIZED (
        SELECT posting_id, lot_id FROM entry WHERE posting_id > CAST(:last AS uuid)
        ORDER BY posting_id LIMIT :n
    ), filled AS (
        UPDATE posting SET lot_id = part.lot_id FROM part
        WHERE id = part.posting_id AND part.lot_id IS NOT NULL AND posting.lot_id IS NULL)
    SELECT posting_id FROM part ORDER BY posting_id DESC LIMIT 1"""
# Nothing is dropped that the view would not say again.
DIFFERENT = f"""
    SELECT coalesce(e.posting_id, l.posting_id)
    FROM entry e FULL JOIN ({LEGS}) l ON l.posting_id = e.posting_id AND l.account = e.account
    WHERE (e.points = l.points AND e.via IS NOT DISTINCT FROM l.via AND e.lot_id IS NOT DISTINCT FROM l.lot_id)
        IS NOT TRUE LIMIT 1"""

ERASE_POSTING_TEXTS = """
    UPDATE posting SET reason = CASE WHEN kind IN ('spend', 'adjust') THEN 'erased' ELSE reason END, reference = NULL
    WHERE id = ANY(ARRAY(
        SELECT p.id FROM posting p WHERE p.via = ANY(p_vias) AND (
            (p.kind IN ('spend', 'adjust') AND (p.reason <> 'erased' OR p.reference IS NOT NULL))
            OR (p.kind IN ('earn', 'reverse') AND p.reference IS NOT NULL AND EXISTS (
                SELECT FROM lot l WHERE l.id = p.lot_id AND l.purchase_id IS NULL)))
        LIMIT p_n))"""

# As before, less the legs.
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
        INSERT INTO account AS a (via, currency, balance, spent) VALUES (p_via, p_currency, -p_points, p_points)
            ON CONFLICT (via, currency) DO UPDATE SET
                balance = a.balance - p_points, spent = a.spent + p_points, version = a.version + 1
            RETURNING a.balance, a.pending, a.version INTO via_balance, via_pending, via_version;
        available := available - p_points;
        outcome := 'posted';
    END $$"""


def upgrade() -> None:
    """Older postings are filled beside the writers; a revision that died in between begins anew, and finds them so."""
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute("ALTER TABLE posting ADD COLUMN IF NOT EXISTS lot_id uuid")
    op.execute(TELL_LOTS.format(schema=schema))
    op.execute(TOLD)
    with op.get_context().autocommit_block():
        _fill()
    create_index_concurrently("ix_posting_unlinked", "posting", ["via"], postgresql_where=sa.text("lot_id IS NULL"))
    _swap(schema)
    erasable("erase_posting_texts", ERASE_POSTING_TEXTS)
    op.execute(SPEND_POINTS)


def _fill() -> None:
    bind = op.get_bind()
    last: str | None = FIRST
    while last is not None:
        last = bind.execute(sa.text(FILL), {"last": last, "n": FILL_AT_ONCE}).scalar()
    different = bind.execute(sa.text(DIFFERENT)).scalar()
    if different is not None:
        msg = f"the entries of posting {different} are not what it says: make verify-ledger tells more"
        raise RuntimeError(msg)


def _swap(schema: str) -> None:
    """In the order in which whoever posts takes the tables."""
    op.execute("LOCK TABLE posting IN SHARE ROW EXCLUSIVE MODE")
    op.execute("LOCK TABLE entry IN ACCESS EXCLUSIVE MODE")
    op.drop_table("entry")
    for function in ("tell_lots", "entries_balance"):
        op.execute(f"DROP FUNCTION {function}")
    op.create_table(
        "entry_lot",
        sa.Column("posting_id", sa.Uuid(), primary_key=True),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
    )
    for statement in (ENTRY, FILE_LOT, FILED, TAKE_LOT.format(schema=schema), TAKEN):
        op.execute(statement)
    append_only("entry")


def downgrade() -> None:
    """The legs are written down again."""
    first = import_module("perennial.loyalty.migrations.versions.0001_first")
    op.execute("DROP TRIGGER take_lot ON posting")
    op.execute("CREATE TABLE legs AS SELECT * FROM entry")
    op.execute("DROP VIEW entry")
    for function in ("take_lot", "file_lot"):
        op.execute(f"DROP FUNCTION {function}")
    first.create_entries()
    op.execute("INSERT INTO entry (posting_id, account, via, lot_id, points) SELECT * FROM legs")
    op.drop_table("legs")
    op.drop_table("entry_lot")
    op.execute(first.BALANCED)
    op.execute(first.BALANCED_TRIGGER)
    append_only("entry")
    op.execute(import_module("perennial.loyalty.migrations.versions.0009_spending").SPEND_POINTS)
    before: str = import_module("perennial.loyalty.migrations.versions.0005_earning").ERASE_POSTING_TEXTS
    erasable("erase_posting_texts", before)
    op.drop_column("posting", "lot_id")  # and its index
