"""The tables of operations, for services that have any."""

from alembic import context
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from perennial.common.db.tables import new_metadata

WAITING = "state IN ('queued', 'running')"


def add_operation_tables(metadata: MetaData) -> None:
    """Tables `operation` and `operation_file`: a file is its chunks, each under the offset of its first byte."""
    instant, none = DateTime(timezone=True), text("0")
    operation = Table(
        "operation",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("state", Text, nullable=False, server_default=text("'queued'")),
        Column("who", Text, nullable=False),
        Column("principal", JSONB, nullable=False),
        Column("input", JSONB, nullable=False),
        Column("progress", JSONB, nullable=False, server_default=text("'{}'")),
        Column("done", BigInteger, nullable=False, server_default=none),
        Column("total", BigInteger),
        Column("result", JSONB),
        Column("error", JSONB),
        Column("cancelling", Boolean, nullable=False, server_default=text("false")),
        Column("begun", SmallInteger, nullable=False, server_default=none),
        Column("tries", SmallInteger, nullable=False, server_default=none),
        Column("created_at", instant, nullable=False, server_default=func.now()),
        Column("next_at", instant, nullable=False, server_default=func.now()),
        Column("started_at", instant),
        Column("finished_at", instant),
        Column("expires_at", instant, index=True),
    )
    Index("ix_operation_who_id", operation.c.who, operation.c.id)
    Index("ix_operation_next_at", operation.c.next_at, postgresql_where=text(WAITING))
    Table(
        "operation_file",
        metadata,
        Column("operation_id", Uuid, ForeignKey("operation.id", ondelete="CASCADE"), primary_key=True),
        Column("name", Text, primary_key=True),
        Column("at", BigInteger, primary_key=True, autoincrement=False),
        Column("media_type", Text, nullable=False),
        Column("chunk", LargeBinary, nullable=False),
    )


def create_operation_tables() -> None:
    """In a migration of a service that begins to have operations."""
    _made().create_all(context.get_context().bind, checkfirst=False)  # type: ignore[arg-type]


def drop_operation_tables() -> None:
    """The way back."""
    _made().drop_all(context.get_context().bind, checkfirst=False)  # type: ignore[arg-type]


def _made() -> MetaData:
    metadata = new_metadata()
    add_operation_tables(metadata)
    return metadata
