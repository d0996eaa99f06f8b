"""The tables of erasure that every schema has, and what a migration needs for them."""

from alembic import context
from sqlalchemy import BigInteger, Column, DateTime, Index, LargeBinary, MetaData, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from perennial.common.db.naming import NAMING


def add_privacy_tables(metadata: MetaData) -> None:
    """Tables `erased` (whom to know nothing of any more) and `erasure` (how far forgetting has come)."""
    instant = DateTime(timezone=True)
    Table(
        "erased",
        metadata,
        Column("via", Uuid, primary_key=True, comment="Nothing that was said under it is written any more."),
        Column("at", instant, server_default=func.now(), nullable=False),
    )
    erasure = Table(
        "erasure",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("customer_id", Uuid, nullable=False),
        Column("vias", ARRAY(Uuid), nullable=False),
        Column("digests", ARRAY(LargeBinary), nullable=False, comment="Blind indexes; emptied at the end."),
        Column("at", instant, nullable=False, comment="What is older than this is forgotten."),
        Column("state", Text, server_default=text("'erasing'"), nullable=False, comment="erasing, settling or done"),
        Column("position", BigInteger, server_default=text("0"), nullable=False, comment="Of the table in hand."),
        Column("after", Text, comment="The key up to which a table without an index was read."),
        Column("counts", JSONB, server_default=text("'{}'"), nullable=False, comment="Rows by table."),
        Column("next_at", instant, server_default=func.now(), nullable=False),
        Column("failure", Text, comment="Of the last step, where it failed."),
        Column("finished_at", instant),
    )
    Index("ix_erasure_next_at", erasure.c.next_at, postgresql_where=text("state <> 'done'"))


def create_privacy_tables() -> None:
    """In a migration of a schema that was made before there were such tables; harmless in a newer one."""
    _made().create_all(context.get_context().bind, checkfirst=True)  # type: ignore[arg-type]


def drop_privacy_tables() -> None:
    """The way back."""
    _made().drop_all(context.get_context().bind, checkfirst=True)  # type: ignore[arg-type]


def erasable(name: str, statement: str) -> None:
    """In a migration: `name(vias uuid[], n int)` does what the login role may not, and returns how many rows it met.

    `statement` names its parameters `p_vias` and `p_n`. For tables that are append-only.
    """
    bind = context.get_context().bind
    assert bind is not None  # noqa: S101 (online)
    schema = bind.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    bind.execute(
        text(f"""
            CREATE OR REPLACE FUNCTION {name}(p_vias uuid[], p_n integer) RETURNS bigint
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
            DECLARE met bigint; BEGIN
                {statement};
                GET DIAGNOSTICS met = ROW_COUNT;
                RETURN met;
            END $$""")
    )
    bind.execute(text(f"REVOKE EXECUTE ON FUNCTION {name}(uuid[], integer) FROM PUBLIC"))
    bind.execute(
        text(f"""
            DO $$ BEGIN EXECUTE format('GRANT EXECUTE ON FUNCTION {name}(uuid[], integer) TO %I', current_schema());
            EXCEPTION WHEN undefined_object THEN NULL; END $$""")
    )


def _made() -> MetaData:
    metadata = MetaData(naming_convention=NAMING)
    add_privacy_tables(metadata)
    return metadata
