"""The metadata of schema `campaigns`, and the base of its mapped classes."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase

from perennial.common.db import add_common_tables, new_metadata

metadata = new_metadata()
add_common_tables(metadata)


class Base(DeclarativeBase):
    """What the mapped classes share."""

    metadata = metadata
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
    }
