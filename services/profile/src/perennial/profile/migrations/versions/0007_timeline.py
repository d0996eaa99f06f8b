"""The timeline of everything, its retention per data class, and the sections that other services fill."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

FUNCTIONS = (
    "make_event_part(date, text)", "ensure_event_months(date[])", "ensure_event_parts(date[], text[], timestamptz[])",
    "drop_event_part()", "event_retention()",
)  # fmt: skip
# What a path does not name is searched first, so a temporary table could pose as one of ours; what is not there is
# found at the end of the path even so, so a partition is asked for in the owner's schema alone.
SEARCH = "DO $$ BEGIN EXECUTE format('ALTER FUNCTION {} SET search_path = %I, pg_temp', current_schema()); END $$"
DROP_EMPTY_MONTHS = """
    DO $$ DECLARE part regclass; used boolean; BEGIN
        FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'event'::regclass LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', part) INTO used;
            IF NOT used THEN EXECUTE format('DROP TABLE %s', part); END IF;
        END LOOP;
    END $$"""
# A month of before is one table for every class; it stays as it is, and goes when the longest of them does.
MAKE_EVENT_PART = """
    CREATE FUNCTION make_event_part(month date, data_class text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
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
        EXECUTE format('REVOKE ALL ON %I.%I FROM %I', current_schema(), part, current_schema());
        EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES IN (%L)', current_schema(), whole,
                       current_schema(), part, data_class);
    END $$"""
EVENT_RETENTION = """
    CREATE FUNCTION event_retention() RETURNS TABLE (data_class text, months integer) LANGUAGE sql STABLE
    SET search_path FROM CURRENT AS $$
        SELECT usual.data_class, coalesce(r.months, usual.months)
        FROM (VALUES ('behaviour', 24), ('transactions', 84), ('service', 36), ('communication', 24), ('lifecycle', 36))
            AS usual (data_class, months)
        LEFT JOIN retention AS r USING (data_class)
    $$"""
# For processes of the version before, which know of no classes.
ENSURE_EVENT_MONTHS = """
    CREATE OR REPLACE FUNCTION ensure_event_months(months date[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    BEGIN
        PERFORM make_event_part(month, 'behaviour') FROM unnest(months) AS month;
    END $$"""
# What is too old by the database's clock and by that of whoever received it is not kept; one clock alone may be wrong.
ENSURE_EVENT_PARTS = """
    CREATE FUNCTION ensure_event_parts(months date[], classes text[], received timestamptz[])
    RETURNS TABLE (kept_month date, kept_class text) LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    BEGIN
        FOR kept_month, kept_class IN
            SELECT w.month, w.data_class FROM unnest(months, classes, received) AS w (month, data_class, received)
            JOIN event_retention() AS r ON r.data_class = w.data_class
            WHERE (date_trunc('month', w.month::timestamp) + make_interval(months => r.months + 1)) AT TIME ZONE 'UTC'
                  > least(now(), w.received)
              AND w.month < now() + interval '2 years'
        LOOP
            PERFORM make_event_part(kept_month, kept_class);
            RETURN NEXT;
        END LOOP;
    END $$"""
# One at a time, the oldest first; it waits a moment for writers and readers, then gives way and is called again.
DROP_EVENT_PART = """
    CREATE FUNCTION drop_event_part() RETURNS text LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT SET lock_timeout = '200ms' AS $$
    DECLARE
        reach timestamptz := least(now(), (SELECT max(latest) FROM activity));
        found text;
    BEGIN
        SELECT p.name INTO found FROM (
            SELECT c.relname AS name, to_date(substr(c.relname, 7, 7), 'YYYY_MM')::timestamp AS starts,
                   substr(c.relname, 15) AS data_class
            FROM pg_partition_tree('event') AS t JOIN pg_class AS c ON c.oid = t.relid
            WHERE t.level > 0 AND NOT EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = c.oid)) AS p
        LEFT JOIN event_retention() AS r USING (data_class)
        WHERE (p.starts + make_interval(months => 1 + coalesce(r.months, (SELECT max(months) FROM event_retention()))))
              AT TIME ZONE 'UTC' <= reach
        ORDER BY p.name LIMIT 1;
        IF found IS NOT NULL THEN
            EXECUTE format('DROP TABLE %I.%I', current_schema(), found);
        END IF;
        RETURN found;
    END $$"""


def upgrade() -> None:
    _timeline()
    _sections()
    for function in (MAKE_EVENT_PART, ENSURE_EVENT_MONTHS, EVENT_RETENTION, ENSURE_EVENT_PARTS, DROP_EVENT_PART):
        op.execute(function)
    for signature in FUNCTIONS:
        op.execute(SEARCH.format(signature))


def downgrade() -> None:
    """Only where the timeline is empty: a month that is divided by class cannot lose its class."""
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature}")
    op.execute(DROP_EMPTY_MONTHS)
    for table in ("merger", "enrolment", "reach", "retention", "told"):
        op.drop_table(table)
    op.drop_index("ix_ticket_via_rated_at", "ticket")
    for name in ("type", "stage", "priority", "opened_at", "breached_at", "breached", "score", "rated_at", "as_of"):
        op.drop_column("ticket", name)
    op.drop_column("membership", "as_of")
    op.drop_column("activity", "sources")
    op.drop_column("event", "data_class")


def _timeline() -> None:
    op.add_column(
        "event",
        sa.Column("data_class", sa.Text(collation="C"), server_default=sa.text("'behaviour'"), nullable=False),
    )
    comment = "A partition per month (UTC), in it one per data class: ensure_event_parts(); no default one."
    op.create_table_comment("event", f"Append-only. {comment}")
    about = "Of a tracking event, or the kind of what another service said."
    op.alter_column("event", "type", comment=about, existing_type=sa.Text(), existing_nullable=False)
    op.execute(DROP_EMPTY_MONTHS)
    op.add_column(
        "activity",
        sa.Column(
            "sources",
            postgresql.ARRAY(sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="That its events came from.",
        ),
    )
    op.create_table(
        "told",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("month", sa.DateTime(timezone=True), nullable=False, comment="Its first instant in UTC."),
        sa.PrimaryKeyConstraint("via", "month", name="pk_told"),
        comment="In which months services said something of an identifier: bounds the timeline beside activity.",
    )
    op.create_table(
        "retention",
        sa.Column("data_class", sa.Text(collation="C"), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("months BETWEEN 1 AND 240", name="ck_retention_months"),
        sa.PrimaryKeyConstraint("data_class", name="pk_retention"),
        comment="For how long the timeline keeps what, where event_retention() has something else.",
    )


def _sections() -> None:
    for column in (
        sa.Column("type", sa.Text()),
        sa.Column("stage", sa.Text()),
        sa.Column("priority", sa.Text()),
        sa.Column("opened_at", sa.DateTime(timezone=True)),
        sa.Column("breached_at", sa.DateTime(timezone=True)),
        sa.Column("breached", sa.Text(), comment="The service level that was missed first."),
        sa.Column("score", sa.Integer()),
        sa.Column("rated_at", sa.DateTime(timezone=True)),
        sa.Column("as_of", sa.DateTime(timezone=True)),
    ):
        op.add_column("ticket", column)
    op.create_index(
        "ix_ticket_via_rated_at", "ticket", ["via", "rated_at"], postgresql_where=sa.text("rated_at IS NOT NULL")
    )
    op.add_column("membership", sa.Column("as_of", sa.DateTime(timezone=True)))
    op.create_table(
        "reach",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("suppressed", sa.BigInteger(), nullable=False),
        sa.Column("last_sent_at", sa.DateTime(timezone=True)),
        sa.Column("last_suppressed_at", sa.DateTime(timezone=True)),
        sa.Column("last_reason", sa.Text(), comment="Why the last one was suppressed."),
        sa.PrimaryKeyConstraint("via", "channel", name="pk_reach"),
    )
    op.create_table(
        "enrolment",
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("enrolment_id", name="pk_enrolment"),
    )
    op.create_index("ix_enrolment_via", "enrolment", ["via"])
    op.create_table(
        "merger",
        sa.Column("merge_id", sa.Uuid(), nullable=False),
        sa.Column("survivor", sa.Uuid(), nullable=False),
        sa.Column("merged", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("merge_id", name="pk_merger"),
    )
    op.create_index("ix_merger_merged", "merger", ["merged"])
