"""The metadata of schema `profile`: facts under the identifier that produced them, and what is derived of them.

Each feature adds its tables in its own `models.py`.
"""

from sqlalchemy import Column, Index, Text

from perennial.common.db import add_common_tables, new_metadata
from perennial.common.operations import add_operation_tables

metadata = new_metadata()
add_common_tables(metadata)
add_operation_tables(metadata)
_stale = metadata.tables["stale"]
_stale.append_column(Column("concern", Text, comment="What it is about, as a list of words; * and none: anything."))
Index("ix_stale_live_at", _stale.c.live.desc(), _stale.c.at)
Index("ix_stale_customer_id", _stale.c.customer_id)
