"""The metadata of schema `profile`: facts under the identifier that produced them, and what is derived of them.

Each feature adds its tables in its own `models.py`.
"""

from perennial.common.db import add_common_tables, new_metadata
from perennial.common.operations import add_operation_tables

metadata = new_metadata()
add_common_tables(metadata)
add_operation_tables(metadata)
