"""The base of the tables of tickets; each feature keeps its own."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase

from perennial.common.db import add_common_tables, new_metadata

metadata = new_metadata()
add_common_tables(metadata)


class Base(DeclarativeBase):
    """The base of this schema's tables."""

    metadata = metadata
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text, list[str]: ARRAY(Text), dict[str, Any]: JSONB}  # noqa: RUF012 (SQLAlchemy's)
