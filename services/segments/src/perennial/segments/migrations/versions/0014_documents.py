"""Documents are not analysed: nothing is looked up by them, and a third of all ANALYZE would be spent on them."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

DOCUMENTS = (("event", "properties"), ("trait", "value"), ("derived_trait", "value"))
# As before, but that a new month is not analysed by its documents either: a table made LIKE another is, by all columns.
MAKE_EVENT_MONTH = """
    CREATE OR REPLACE FUNCTION make_event_month(month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
    DECLARE
        starts timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
        stop timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
        part text := 'event_' || to_char(month, 'YYYY_MM');
    BEGIN
        IF to_regclass(format('%I.%I', current_schema(), part)) IS NOT NULL
           OR starts < (SELECT greatest(before_until, complete_since) FROM event_keeping) THEN
            RETURN false;
        END IF;
        LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE;
        IF to_regclass(format('%I.%I', current_schema(), part)) IS NOT NULL THEN
            RETURN false;
        END IF;
        LOCK TABLE event_rest IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('CREATE TABLE %I.%I (LIKE event INCLUDING DEFAULTS INCLUDING STORAGE)', current_schema(), part);
        EXECUTE format('ALTER TABLE %I.%I ALTER COLUMN properties SET STATISTICS 0', current_schema(), part);
        PERFORM hide_event_part(part);
        EXECUTE format('WITH gone AS (DELETE FROM event_rest WHERE at >= %L AND at < %L RETURNING *)
                        INSERT INTO %I.%I SELECT * FROM gone', starts, stop, current_schema(), part);
        EXECUTE format('ALTER TABLE event ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', current_schema(), part,
                       starts, stop);
        RETURN true;
    END $$"""
SEARCH = """
    DO $$ BEGIN
        EXECUTE format('ALTER FUNCTION make_event_month(date) SET search_path = %I, pg_temp', current_schema());
    END $$"""


def upgrade() -> None:
    for table, column in DOCUMENTS:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
    op.execute(MAKE_EVENT_MONTH)
    op.execute(SEARCH)


def downgrade() -> None:
    """What makes new months may stay: the version before calls it in the same way."""
    for table, column in DOCUMENTS:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS -1")
