"""Identifiers, decisions, merges, conflicts, the history of the map."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import append_only, create_common_tables, drop_common_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The login role may not create tables; these functions, the owner's, do it for one purpose. Attaching an empty table
# locks out other creators only; dropping one stops everybody for an instant, so it gives up rather than wait.
ENSURE_DECISION_WEEK = """
    CREATE FUNCTION ensure_decision_week(week integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    DECLARE
        part text := 'decision_' || week;
    BEGIN
        IF to_regclass(part) IS NOT NULL THEN
            RETURN;
        END IF;
        LOCK TABLE decision IN SHARE UPDATE EXCLUSIVE MODE;
        IF to_regclass(part) IS NOT NULL THEN
            RETURN;
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE decision INCLUDING ALL)', part);
        EXECUTE format('REVOKE ALL ON %I FROM %I', part, current_schema());
        EXECUTE format('ALTER TABLE decision ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, week, week + 1);
    END $$"""
DROP_DECISION_WEEKS = """
    CREATE FUNCTION drop_decision_weeks(before integer) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT SET lock_timeout = '2s' AS $$
    DECLARE
        part name;
    BEGIN
        FOR part IN
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'decision'::regclass AND substr(c.relname, 10)::integer < before ORDER BY 1
        LOOP
            EXECUTE format('DROP TABLE %I', part);
            RETURN NEXT part;
        END LOOP;
    END $$"""
THIS_WEEK = "SELECT ensure_decision_week(week + floor(extract(epoch FROM now()) / 604800)::integer)"


def _at(name: str = "created_at") -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def upgrade() -> None:
    create_common_tables()
    op.create_index("ix_parked_event_id", "parked", ["event_id"])
    _identifiers()
    _decisions()
    _history()
    _conflicts()
    append_only("map_change")


def _identifiers() -> None:
    op.create_table(
        "identifier",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="Keyed blind index of kind and value."),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="The normalised value, encrypted."),
        _at(),
        sa.UniqueConstraint("digest", name="uq_identifier_digest"),
    )


def _decisions() -> None:
    op.create_table(
        "decision",
        sa.Column("id", sa.Uuid(), nullable=False, comment="Digest of source and message id."),
        sa.Column("week", sa.Integer(), nullable=False, comment="Weeks since 1970, when it was decided."),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column(
            "seq", sa.BigInteger(), nullable=False, comment="Sequence in INGEST of the message that was decided."
        ),
        sa.PrimaryKeyConstraint("id", "week"),
        postgresql_partition_by="RANGE (week)",
    )
    op.execute(ENSURE_DECISION_WEEK)
    op.execute(DROP_DECISION_WEEKS)
    op.execute(f"{THIS_WEEK} FROM generate_series(0, 2) AS week")


def _history() -> None:
    op.create_table(
        "map_change",
        sa.Column("via", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.BigInteger(), primary_key=True),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("previous_id", sa.Uuid(), comment="Null when the identifier was new."),
        sa.Column("cause", sa.Text(), nullable=False, comment="attached, merged or separated"),
        sa.Column("event_id", sa.Uuid()),
        sa.Column("through", sa.Uuid(), comment="The identifier of the event to which this one was joined."),
        sa.Column("merge_id", sa.Uuid()),
        sa.Column("rule", sa.SmallInteger(), nullable=False, comment="Version of the rules that decided."),
        _at("at"),
    )
    op.create_table(
        "merge",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False, comment="auto or manual"),
        sa.Column("survivor", sa.Uuid(), nullable=False, index=True),
        sa.Column("merged", sa.Uuid(), nullable=False, index=True),
        sa.Column(
            "survivor_vias", postgresql.ARRAY(sa.Uuid()), nullable=False, comment="Both sides as they were before."
        ),
        sa.Column("merged_vias", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("rule", sa.SmallInteger(), nullable=False),
        _at(),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.Column("undone_by", sa.Text()),
        sa.Column("undone_reason", sa.Text()),
        sa.Column("undone_vias", postgresql.ARRAY(sa.Uuid()), comment="The identifiers that were moved back."),
    )


def _conflicts() -> None:
    op.create_table(
        "separation",
        sa.Column(
            "low",
            sa.Uuid(),
            primary_key=True,
            comment="Customers that hold `low` and `high` are not joined by evidence.",
        ),
        sa.Column("high", sa.Uuid(), primary_key=True, index=True),
        sa.Column("merge_id", sa.Uuid(), nullable=False),
        _at(),
    )
    op.create_table(
        "conflict",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False, comment="two_user_ids, limit or separated"),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="The kind of identifier of which there would be too many."
        ),
        sa.Column("via", sa.Uuid(), nullable=False, comment="The identifier that was left out."),
        sa.Column("against", sa.Uuid(), nullable=False, comment="The strongest identifier of the event."),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False, comment="The first event."),
        sa.Column("last_event_id", sa.Uuid(), nullable=False),
        _at("first_at"),
        _at("last_at"),
        sa.UniqueConstraint("via", "against", "reason", name="uq_conflict_via_against_reason"),
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION ensure_decision_week, drop_decision_weeks")
    for table in ("conflict", "separation", "merge", "map_change", "decision", "identifier"):
        op.drop_table(table)
    op.drop_index("ix_parked_event_id", "parked")
    drop_common_tables()
