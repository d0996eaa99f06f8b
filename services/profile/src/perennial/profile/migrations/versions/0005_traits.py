"""The schema of traits: what each source says, definitions, what was not taken, what staff wrote."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import append_only

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_Word = sa.Text(collation="C")
_Instant = sa.DateTime(timezone=True)
_Json = postgresql.JSONB()
_now = sa.func.now()

# The timeline is append-only for whoever runs the service; this puts sealed traits in the place of clear ones, or of
# those that an older key has sealed, and can change nothing else of an event.
SEAL_EVENTS = """
    CREATE FUNCTION seal_events(ids uuid[], times timestamptz[], said jsonb[], hints jsonb[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER AS $$
        UPDATE event AS e SET body = CASE WHEN n.hint IS NULL THEN main.body
            ELSE jsonb_set(main.body, '{context,traits}', n.hint, false) END
        FROM unnest(ids, times, said, hints) AS n (id, "timestamp", traits, hint),
             LATERAL (SELECT body FROM event AS o WHERE o.id = n.id AND o."timestamp" = n."timestamp") AS old,
             LATERAL (SELECT CASE WHEN n.traits IS NULL THEN old.body
                             ELSE jsonb_set(old.body, '{traits}', n.traits, false) END AS body) AS main
        WHERE e.id = n.id AND e."timestamp" = n."timestamp"
    $$"""
FIXED_PATH = """
    DO $$ BEGIN
        EXECUTE format('ALTER FUNCTION seal_events(uuid[], timestamptz[], jsonb[], jsonb[])
                        SET search_path = %I, pg_catalog, pg_temp', current_schema());
    END $$"""


def upgrade() -> None:
    _statements()
    _definitions()
    _records()
    op.execute(SEAL_EVENTS)
    op.execute(FIXED_PATH)


def downgrade() -> None:
    op.execute("DROP FUNCTION seal_events(uuid[], timestamptz[], jsonb[], jsonb[])")
    for table in ("trait_edit", "trait_sweep", "trait_tally", "trait_definition_version", "trait_definition"):
        op.drop_table(table)
    op.execute("""
        DELETE FROM trait AS t USING trait AS newer WHERE newer.via = t.via AND newer.key = t.key
            AND (newer.at, newer.source, newer.message_id) > (t.at, t.source, t.message_id)""")
    op.execute("ALTER TABLE trait DROP CONSTRAINT pk_trait, ADD CONSTRAINT pk_trait PRIMARY KEY (via, key)")
    for column in ("first_value", "first_at", "first_message_id", "fits"):
        op.drop_column("trait", column)


def _statements() -> None:
    op.add_column(
        "trait",
        sa.Column("first_value", _Json, comment="What it said first, unless that is the last as well."),
    )
    op.add_column("trait", sa.Column("first_at", _Instant))
    op.add_column("trait", sa.Column("first_message_id", _Word))
    fits: sa.Column[bool] = sa.Column(
        "fits",
        sa.Boolean(),
        server_default=sa.text("true"),
        nullable=False,
        comment="The definition of today takes it.",
    )
    op.add_column("trait", fits)
    op.execute("UPDATE trait SET first_at = at, first_message_id = message_id WHERE value IS NOT NULL")
    op.alter_column(
        "trait", "value",
        comment="What the source said last. SQL null: it cleared the trait.",
        existing_comment="SQL null: the trait was cleared.", existing_type=_Json,
    )  # fmt: skip
    op.execute("ALTER TABLE trait DROP CONSTRAINT pk_trait, ADD CONSTRAINT pk_trait PRIMARY KEY (via, key, source)")


def _definitions() -> None:
    op.create_table(
        "trait_definition",
        sa.Column("key", _Word, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "revision", sa.Uuid(), nullable=False, comment="Another one at every change: caches are compared by it."
        ),
        sa.Column("definition", _Json, nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("sources", postgresql.ARRAY(sa.Text()), nullable=False, comment="The most trusted first."),
        sa.Column("archived", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", _Instant, server_default=_now, nullable=False),
        sa.Column("updated_at", _Instant, server_default=_now, nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_trait_definition"),
        comment="A shop's own traits. strategy, type and sources are the definition's, for SQL.",
    )
    op.create_table(
        "trait_definition_version",
        sa.Column("key", _Word, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("definition", _Json, nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("at", _Instant, server_default=_now, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "version", name="pk_trait_definition_version"),
    )
    append_only("trait_definition_version")


def _records() -> None:
    op.create_table(
        "trait_tally",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment="Received, UTC."),
        sa.Column("outcome", sa.Text(), nullable=False, comment="ok, cleared, or why it was not taken."),
        sa.Column("type", sa.Text(), nullable=False, comment="What the values look like."),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", _Instant, nullable=False),
        sa.Column("last_at", _Instant, nullable=False),
        sa.Column(
            "examples", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False, comment="Masked."
        ),
        sa.PrimaryKeyConstraint("id", name="pk_trait_tally"),
        comment="Every batch adds rows, so that none waits for another; a job adds them up.",
    )
    op.create_table(
        "trait_sweep",
        sa.Column(
            "key", sa.Text(), nullable=False, comment="A trait whose definition changed; empty: all, by another key."
        ),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("after", sa.Uuid(), nullable=False, comment="Identifiers up to it are done."),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_trait_sweep"),
    )
    op.create_table(
        "trait_edit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", _Json, comment="SQL null: cleared, or given back to the sources."),
        sa.Column("before", _Json, comment="What was shown until then."),
        sa.Column("given_back", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", _Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trait_edit"),
        comment="What staff wrote by hand, and why.",
    )
    op.create_index("ix_trait_edit_via_key_id", "trait_edit", ["via", "key", "id"])
