"""Merges and splits are found by the identifiers in their arrays; functions of the owner look into its schema first."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEXES = (("merge", "undone_vias"), ("split", "identifiers"), ("split", "remaining"))
FUNCTIONS = ("ensure_decision_week(integer)", "drop_decision_weeks(integer)")
# What a path does not name is searched first, so a temporary table could pose as one of ours; what is not there is
# found at the end of the path even so, so a partition is asked for in the owner's schema alone.
SEARCH = "DO $$ BEGIN EXECUTE format('ALTER FUNCTION {} SET search_path = %I{}', current_schema()); END $$"
ENSURE_DECISION_WEEK = """
    CREATE OR REPLACE FUNCTION ensure_decision_week(week integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    DECLARE
        part text := 'decision_' || week;
    BEGIN
        IF to_regclass(format('%I.%I', current_schema(), part)) IS NOT NULL THEN
            RETURN;
        END IF;
        LOCK TABLE decision IN SHARE UPDATE EXCLUSIVE MODE;
        IF to_regclass(format('%I.%I', current_schema(), part)) IS NOT NULL THEN
            RETURN;
        END IF;
        EXECUTE format('CREATE TABLE %I.%I (LIKE decision INCLUDING ALL)', current_schema(), part);
        EXECUTE format('REVOKE ALL ON %I.%I FROM %I', current_schema(), part, current_schema());
        EXECUTE format('ALTER TABLE decision ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
                       current_schema(), part, week, week + 1);
    END $$"""
DROP_DECISION_WEEKS = """
    CREATE OR REPLACE FUNCTION drop_decision_weeks(before integer) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
    DECLARE
        part name;
    BEGIN
        FOR part IN
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'decision'::regclass AND substr(c.relname, 10)::integer < before ORDER BY 1
        LOOP
            EXECUTE format('DROP TABLE %I.%I', current_schema(), part);
            RETURN NEXT part;
        END LOOP;
    END $$"""


def upgrade() -> None:
    for table, column in INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column], postgresql_using="gin")
    op.execute(ENSURE_DECISION_WEEK)
    op.execute(DROP_DECISION_WEEKS)
    for function in FUNCTIONS:
        op.execute(SEARCH.format(function, ", pg_temp"))


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(SEARCH.format(function, ""))
    for table, column in reversed(INDEXES):
        op.drop_index(f"ix_{table}_{column}", table)
