"""The timeline, traits, orders, counters, sections."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import append_only, create_common_tables, drop_common_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("event", "counter", "activity", "trait", "purchase", "account", "tier", "membership", "ticket", "outreach")

# The login role may not create tables; this function, the owner's, does it for one purpose. Attaching an empty table
# locks out other creators only: writers and readers of the timeline go on.
ENSURE_EVENT_MONTHS = """
    CREATE FUNCTION ensure_event_months(months date[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    DECLARE
        starts timestamp;
        part text;
    BEGIN
        FOREACH starts IN ARRAY months LOOP
            starts := date_trunc('month', starts);
            part := 'event_' || to_char(starts, 'YYYY_MM');
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE;
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            EXECUTE format('CREATE TABLE %I (LIKE event INCLUDING DEFAULTS INCLUDING STORAGE)', part);
            EXECUTE format('REVOKE ALL ON %I FROM %I', part, current_schema());
            EXECUTE format('ALTER TABLE event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part,
                           starts AT TIME ZONE 'UTC', (starts + interval '1 month') AT TIME ZONE 'UTC');
        END LOOP;
    END $$"""


def upgrade() -> None:
    create_common_tables()
    _facts()
    _sections()
    op.execute(ENSURE_EVENT_MONTHS)
    append_only("event")


def downgrade() -> None:
    op.execute("DROP FUNCTION ensure_event_months")
    for table in TABLES:
        op.drop_table(table)
    drop_common_tables()


def _facts() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("message_id", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        comment="Append-only. One partition per month (UTC), made by ensure_event_months(); no default partition.",
        postgresql_partition_by="RANGE (timestamp)",
    )
    op.create_index("ix_event_message_id", "event", ["message_id"])
    op.create_index("ix_event_via_timestamp", "event", ["via", sa.literal_column("timestamp DESC")])
    op.create_table(
        "counter",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("via", "name", name="pk_counter"),
    )
    op.create_table(
        "activity",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "last_seen",
            sa.DateTime(timezone=True),
            comment="Events with context.active = false do not move it.",
        ),
        sa.Column(
            "latest",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The newest event, active or not: bounds the timeline.",
        ),
        sa.PrimaryKeyConstraint("via", name="pk_activity"),
    )
    op.create_table(
        "trait",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), comment="SQL null: the trait was cleared."),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("message_id", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("via", "key", name="pk_trait"),
    )
    op.create_index(
        "ix_trait_text",
        "trait",
        [sa.literal_column("left(value #>> '{}', 200)").label("words")],
        postgresql_ops={"words": "gin_trgm_ops"},
        postgresql_using="gin",
        postgresql_where=sa.text("jsonb_typeof(value) = 'string'"),
    )
    op.create_table(
        "purchase",
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("order_id", sa.Text(collation="C"), nullable=False),
        sa.Column("via", sa.Uuid()),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("completed_message_id", sa.Text(collation="C")),
        sa.Column("completed_amount", sa.Numeric()),
        sa.Column("currency", sa.Text()),
        sa.Column("items", sa.Integer()),
        sa.Column("updated_at", sa.DateTime(timezone=True)),
        sa.Column("updated_message_id", sa.Text(collation="C")),
        sa.Column("updated_amount", sa.Numeric()),
        sa.Column("refund_total", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("refunded_in_full", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("refunded_at", sa.DateTime(timezone=True)),
        sa.Column("cancelled_at", sa.DateTime(timezone=True)),
        sa.Column(
            "amount",
            sa.Numeric(),
            sa.Computed(
                "CASE WHEN (updated_at, updated_message_id) > (completed_at, completed_message_id)"
                " THEN updated_amount ELSE coalesce(completed_amount, 0) END",
                persisted=True,
            ),
        ),
        sa.PrimaryKeyConstraint("source", "order_id", name="pk_purchase"),
    )
    op.create_index("ix_purchase_via", "purchase", ["via"], postgresql_where=sa.text("via IS NOT NULL"))


def _sections() -> None:
    op.create_table(
        "account",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("via", name="pk_account"),
    )
    op.create_table(
        "tier",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name="pk_tier"),
    )
    op.create_table(
        "membership",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("segment_name", sa.Text(), nullable=False),
        sa.Column("member", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "segment_id", name="pk_membership"),
    )
    op.create_table(
        "ticket",
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ticket_id", name="pk_ticket"),
    )
    op.create_index("ix_ticket_via", "ticket", ["via"], postgresql_where=sa.text("open"))
    op.create_table(
        "outreach",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("via", name="pk_outreach"),
    )
