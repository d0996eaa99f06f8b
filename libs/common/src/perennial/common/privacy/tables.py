"""What a migration needs for the tables of erasure, which every schema has."""

from alembic import context
from sqlalchemy import MetaData, text

from perennial.common.db.tables import add_privacy_tables, new_metadata


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
    metadata = new_metadata()
    add_privacy_tables(metadata)
    return metadata
