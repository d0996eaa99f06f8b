"""Documents are not analysed: nothing is looked up by them, and a third of all ANALYZE would be spent on them."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

DOCUMENTS = (("event", "body"), ("trait", "value"), ("trait", "first_value"))
# As before, but that a new part is not analysed by its documents either: a table made LIKE another is, by all columns.
MAKE_EVENT_PART = """
    CREATE OR REPLACE FUNCTION make_event_part(month date, data_class text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    DECLARE
        starts timestamp := date_trunc('month', month::timestamp);
        whole text := 'event_' || to_char(starts, 'YYYY_MM');
        part text := whole || '_' || data_class;
        kind "char";
    BEGIN
        IF to_regclass(format('%I.%I', current_schema(), part)) IS NOT NULL THEN
            RETURN;
        END IF;
        SELECT relkind INTO kind FROM pg_class WHERE oid = to_regclass(format('%I.%I', current_schema(), whole));
        IF kind = 'r' THEN
            RETURN;
        END IF;
        LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE;
        IF to_regclass(format('%I.%I', current_schema(), part)) IS NOT NULL THEN
            RETURN;
        END IF;
        IF to_regclass(format('%I.%I', current_schema(), whole)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I.%I (LIKE event INCLUDING DEFAULTS INCLUDING STORAGE)
                            PARTITION BY LIST (data_class)', current_schema(), whole);
            EXECUTE format('REVOKE ALL ON %I.%I FROM %I', current_schema(), whole, current_schema());
            EXECUTE format('ALTER TABLE event ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', current_schema(),
                           whole, starts AT TIME ZONE 'UTC', (starts + interval '1 month') AT TIME ZONE 'UTC');
        END IF;
        EXECUTE format('CREATE TABLE %I.%I (LIKE event INCLUDING DEFAULTS INCLUDING STORAGE)', current_schema(), part);
        EXECUTE format('ALTER TABLE %I.%I ALTER COLUMN body SET STATISTICS 0', current_schema(), part);
        EXECUTE format('REVOKE ALL ON %I.%I FROM %I', current_schema(), part, current_schema());
        EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES IN (%L)', current_schema(), whole,
                       current_schema(), part, data_class);
    END $$"""
SEARCH = """
    DO $$ BEGIN
        EXECUTE format('ALTER FUNCTION make_event_part(date, text) SET search_path = %I, pg_temp', current_schema());
    END $$"""


def upgrade() -> None:
    for table, column in DOCUMENTS:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
    op.execute(MAKE_EVENT_PART)
    op.execute(SEARCH)


def downgrade() -> None:
    """What makes new parts may stay: the version before calls it in the same way."""
    for table, column in DOCUMENTS:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS -1")
