"""Alembic for every service: one env, one command, the role's search_path."""

import asyncio
from importlib import resources
from typing import TYPE_CHECKING, Any

import alembic.command
from alembic import context, op
from alembic.config import Config
from sqlalchemy import MetaData, pool, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from perennial.common.audit.chain import CHAINED
from perennial.common.db.tables import add_common_tables, add_job_table, new_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import TextClause

# Of the connection, not of a transaction: each revision has its own.
LOCK_TIMEOUT = "SET lock_timeout = '5s'"


def config(package: str, url: str) -> Config:
    """Alembic's configuration for the migrations package `perennial.<service>.migrations` and an owner's URL."""
    made = Config()
    made.set_main_option("script_location", str(resources.files(package)))
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    made.attributes["url"] = url
    return made


def run_env(metadata: MetaData) -> None:
    """The whole of a service's `env.py`; Alembic imports it with `context` set up."""
    asyncio.run(_run(metadata, context.config.attributes["url"]))


async def _run(metadata: MetaData, url: str) -> None:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate, metadata)
    await engine.dispose()


def _migrate(connection: Connection, metadata: MetaData) -> None:
    with connection.begin():
        connection.execute(text(LOCK_TIMEOUT))
        partitions = set(connection.execute(text("SELECT relname FROM pg_class WHERE relispartition")).scalars())
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        include_name=lambda name, kind, _: kind != "table" or name not in partitions,
    )
    with context.begin_transaction():
        context.run_migrations()


def create_index_concurrently(name: str, table: str, columns: "Sequence[str | TextClause]", **options: Any) -> None:
    """In a migration: an index on a table that is in use, whose writers go on meanwhile.

    Alone in its revision: what came before it is committed, and a revision that died is run again from its beginning.
    So the half-made index of such a run is dropped first. `options` are those of `op.create_index`.
    """
    with context.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.create_index(name, table, list(columns), postgresql_concurrently=True, **options)


def drop_index_concurrently(name: str) -> None:
    """In a migration, alone in its revision: the same on the way out, harmless where the index is gone."""
    with context.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def create_common_tables() -> None:
    """In a service's first migration: the tables of `add_common_tables`, the audit trail append-only and chained.

    When those change, the change is a function here, called from a new revision of every service and harmless where
    a new schema already has it (IF NOT EXISTS).
    """
    metadata = new_metadata()
    add_common_tables(metadata)
    bind = _bind()
    metadata.create_all(bind, checkfirst=False)
    append_only("audit")
    chain_audit()


def drop_common_tables() -> None:
    """The way back."""
    metadata = new_metadata()
    add_common_tables(metadata)
    bind = _bind()
    metadata.drop_all(bind, checkfirst=True)
    bind.execute(text("DROP FUNCTION IF EXISTS audit_chain"))


def create_job_table() -> None:
    """In a migration of a schema that was made before there was such a table; harmless in a newer one."""
    _job_table().create_all(_bind(), checkfirst=True)


def drop_job_table() -> None:
    """The way back."""
    _job_table().drop_all(_bind(), checkfirst=True)


def _job_table() -> MetaData:
    metadata = new_metadata()
    add_job_table(metadata)
    return metadata


def _bind() -> Connection:
    bind = context.get_context().bind
    assert bind is not None  # noqa: S101 (online)
    return bind


def chain_audit(connection: Connection | None = None) -> None:
    """Bind each row of the audit trail to the one before it; harmless where that is so.

    The trigger numbers the rows itself, under a lock, so that their order is the order of the chain.
    """
    bind = connection or _bind()
    for statement in CHAINED:
        bind.execute(text(statement))


def unchain_audit() -> None:
    """The way back."""
    bind = _bind()
    bind.execute(text("DROP TRIGGER audit_chain ON audit"))
    bind.execute(text("DROP FUNCTION audit_chain"))
    bind.execute(text("ALTER TABLE audit DROP COLUMN previous, DROP COLUMN digest"))


def append_only(*tables: str) -> None:
    """In a migration: take UPDATE and DELETE on the tables from the login role, which bears the schema's name."""
    for table in tables:
        _bind().execute(
            text(
                f"DO $$ BEGIN EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM %I', current_schema()); "
                "EXCEPTION WHEN undefined_object THEN NULL; END $$"
            )
        )


def upgrade(package: str, url: str, revision: str = "head") -> None:
    """Bring one schema up to `revision`; call it from a thread or process without a running loop."""
    alembic.command.upgrade(config(package, url), revision)


def check(package: str, url: str) -> None:
    """Raise when the models say something the migrations do not."""
    alembic.command.check(config(package, url))


def revise(package: str, url: str, message: str) -> None:
    """Write the next revision by comparing the models with the schema."""
    existing: Sequence[object] = [
        path for path in resources.files(package).joinpath("versions").iterdir() if path.name[:4].isdigit()
    ]
    alembic.command.revision(config(package, url), message, autogenerate=True, rev_id=f"{len(existing) + 1:04d}")
