"""Events by month; builds note whom derivations touch meanwhile; what Postgres must know of traits."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# What a path does not name is searched first, so a temporary table could pose as one of ours.
SEARCH = "DO $$ BEGIN EXECUTE format('ALTER FUNCTION {} SET search_path = %I, pg_temp', current_schema()); END $$"
FUNCTIONS = (
    "hide_event_part(text)", "divide_events()", "wanted_event_months()", "make_event_month(date)",
    "drop_event_month(interval)",
)  # fmt: skip
# The login role reads and writes events by way of the whole table alone.
HIDE_EVENT_PART = """
    CREATE FUNCTION hide_event_part(part text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    BEGIN
        EXECUTE format('REVOKE ALL ON %I.%I FROM %I', current_schema(), part, current_schema());
    EXCEPTION WHEN undefined_object THEN NULL;
    END $$"""
# The version before writes with ON CONFLICT (id), for which a divided table has no index: so a table with rows is
# divided an hour after it was migrated. They stay together as one part, from the first of all to the end of the month.
DIVIDE_EVENTS = """
    CREATE FUNCTION divide_events() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
    DECLARE
        stop timestamptz := (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
        used boolean;
    BEGIN
        PERFORM FROM pg_class WHERE oid = 'event'::regclass AND relkind = 'p';
        IF FOUND OR (SELECT divide_after > now() FROM event_keeping) THEN
            RETURN false;
        END IF;
        LOCK TABLE event IN ACCESS EXCLUSIVE MODE;
        ALTER TABLE event RENAME TO event_before;
        ALTER TABLE event_before RENAME CONSTRAINT pk_event TO pk_event_before;
        ALTER INDEX ix_event_name_at RENAME TO ix_event_before_name_at;
        ALTER INDEX ix_event_via_name_at RENAME TO ix_event_before_via_name_at;
        CREATE TABLE event (LIKE event_before INCLUDING DEFAULTS, CONSTRAINT pk_event PRIMARY KEY (id, at))
            PARTITION BY RANGE (at);
        CREATE INDEX ix_event_name_at ON event (name, at);
        CREATE INDEX ix_event_via_name_at ON event (via, name, at);
        CREATE TABLE event_rest PARTITION OF event DEFAULT;
        PERFORM hide_event_part('event_rest');
        SELECT EXISTS (SELECT FROM event_before) INTO used;
        IF used THEN
            INSERT INTO event SELECT * FROM event_before WHERE at >= stop;
            DELETE FROM event_before WHERE at >= stop;
            ALTER TABLE event_before DROP CONSTRAINT pk_event_before;
            ALTER TABLE event_before ADD CONSTRAINT pk_event_before PRIMARY KEY (id, at);
            EXECUTE format('ALTER TABLE event ATTACH PARTITION event_before FOR VALUES FROM (MINVALUE) TO (%L)', stop);
            PERFORM hide_event_part('event_before');
            INSERT INTO event_keeping (id, divide_after, before_until) VALUES (1, now(), stop)
                ON CONFLICT (id) DO UPDATE SET before_until = excluded.before_until;
        ELSE
            DROP TABLE event_before;
        END IF;
        RETURN true;
    END $$"""
WANTED_EVENT_MONTHS = """
    CREATE FUNCTION wanted_event_months() RETURNS SETOF date LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    BEGIN
        IF to_regclass(format('%I.event_rest', current_schema())) IS NOT NULL THEN
            RETURN QUERY
                SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n))::date
                FROM generate_series(0, 2) AS n
                UNION SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC')::date FROM event_rest
                WHERE at >= coalesce((SELECT complete_since FROM event_keeping), now() - interval '10 years')
                  AND at < now() + interval '2 months'
                ORDER BY 1;
        END IF;
    END $$"""
MAKE_EVENT_MONTH = """
    CREATE FUNCTION make_event_month(month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
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
        PERFORM hide_event_part(part);
        EXECUTE format('WITH gone AS (DELETE FROM event_rest WHERE at >= %L AND at < %L RETURNING *)
                        INSERT INTO %I.%I SELECT * FROM gone', starts, stop, current_schema(), part);
        EXECUTE format('ALTER TABLE event ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', current_schema(), part,
                       starts, stop);
        RETURN true;
    END $$"""
# One at a time, the oldest first; it waits a moment for writers and readers, then gives way and is called again.
DROP_EVENT_MONTH = """
    CREATE FUNCTION drop_event_month(keep interval) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT SET lock_timeout = '200ms' AS $$
    DECLARE
        found text;
        until timestamptz;
    BEGIN
        SELECT p.name, p.stop INTO found, until FROM (
            SELECT c.relname::text AS name, CASE c.relname WHEN 'event_before' THEN k.before_until ELSE
                (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' END AS stop
            FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid LEFT JOIN event_keeping AS k ON true
            WHERE i.inhparent = 'event'::regclass AND c.relname <> 'event_rest') AS p
        WHERE p.stop <= now() - keep - interval '1 day' ORDER BY p.stop LIMIT 1;
        IF found IS NOT NULL THEN
            EXECUTE format('DROP TABLE %I.%I', current_schema(), found);
            INSERT INTO event_keeping AS k (id, divide_after, complete_since) VALUES (1, now(), until)
                ON CONFLICT (id) DO UPDATE SET complete_since = greatest(k.complete_since, excluded.complete_since);
        END IF;
        IF to_regclass(format('%I.event_rest', current_schema())) IS NOT NULL THEN
            DELETE FROM event_rest WHERE at < (SELECT complete_since FROM event_keeping);
        END IF;
        RETURN found;
    END $$"""
UNITE_EVENTS = """
    DO $$ BEGIN
        PERFORM FROM pg_class WHERE oid = 'event'::regclass AND relkind = 'p';
        IF FOUND THEN
            ALTER TABLE event RENAME TO event_parts;
            CREATE TABLE event (LIKE event_parts INCLUDING DEFAULTS);
            INSERT INTO event SELECT DISTINCT ON (id) * FROM event_parts ORDER BY id, at;
            DROP TABLE event_parts;
            ALTER TABLE event ADD CONSTRAINT pk_event PRIMARY KEY (id);
            CREATE INDEX ix_event_name_at ON event (name, at);
            CREATE INDEX ix_event_via_name_at ON event (via, name, at);
        END IF;
    END $$"""


def upgrade() -> None:
    _builds()
    op.execute("CREATE STATISTICS trait_said (mcv) ON key, value FROM trait")
    op.create_table(
        "event_keeping",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="1: the one row"),
        sa.Column(
            "divide_after", sa.DateTime(timezone=True), nullable=False,
            comment="Until then the version before may still write.",
        ),
        sa.Column(
            "before_until", sa.DateTime(timezone=True), comment="Where the part ends that was the table undivided."
        ),
        sa.Column("complete_since", sa.DateTime(timezone=True), comment="What was before it has been dropped."),
        sa.PrimaryKeyConstraint("id", name="pk_event_keeping"),
    )  # fmt: skip
    op.execute("""
        INSERT INTO event_keeping (id, divide_after)
        SELECT 1, CASE WHEN EXISTS (SELECT FROM event) THEN now() + interval '1 hour' ELSE '-infinity' END""")
    for function in (HIDE_EVENT_PART, DIVIDE_EVENTS, WANTED_EVENT_MONTHS, MAKE_EVENT_MONTH, DROP_EVENT_MONTH):
        op.execute(function)
    for signature in FUNCTIONS:
        op.execute(SEARCH.format(signature))
    op.execute("SELECT divide_events()")
    op.execute("SELECT make_event_month(month) FROM wanted_event_months() AS month")


def _builds() -> None:
    op.create_table(
        "build",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", name="pk_build"),
        comment="Builds for which derivations note whom they touch.",
    )
    op.create_table(
        "build_touched",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name="pk_build_touched"),
    )


def downgrade() -> None:
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature}")
    op.execute(UNITE_EVENTS)
    op.drop_table("event_keeping")
    op.execute("DROP STATISTICS trait_said")
    op.drop_table("build_touched")
    op.drop_table("build")
