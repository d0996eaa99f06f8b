"""The metadata of loyalty's schema; each feature adds its tables in its own `models.py`."""

from perennial.common.db import add_common_tables, new_metadata
from perennial.common.operations import add_operation_tables

metadata = new_metadata()
add_common_tables(metadata)
add_operation_tables(metadata)
