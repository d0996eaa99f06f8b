"""The gateway's tables: who may come in, and what was turned away."""

from sqlalchemy.orm import DeclarativeBase

from perennial.common.db.tables import add_common_tables, new_metadata
from perennial.common.operations import add_operation_tables


class Base(DeclarativeBase):
    """The base of the gateway's models."""

    metadata = new_metadata()


add_common_tables(Base.metadata)
add_operation_tables(Base.metadata)
