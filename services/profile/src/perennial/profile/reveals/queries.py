"""The SQL of reveals."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession

_TRAITS = text("""
    SELECT DISTINCT ON (t.key) t.key, t.value FROM identity_map AS m JOIN trait AS t USING (via)
    WHERE m.customer_id = :customer AND t.key = ANY(:keys)
    ORDER BY t.key, t.at DESC, t.source DESC, t.message_id DESC""")


async def traits(session: ReadSession, customer: UUID, keys: Sequence[str]) -> dict[str, Any]:
    """What a customer shows for these keys, in clear."""
    rows = await session.execute(_TRAITS, {"customer": customer, "keys": list(keys)})
    return {row.key: row.value for row in rows if row.value is not None}
