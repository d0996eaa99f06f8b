"""The queue of conflicts."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession

_LIST = text("""
    SELECT c.id, c.reason, c.kind, c.via, c.against, v.customer_id, a.customer_id AS against_customer_id, c.count,
           c.evidence, c.last_event_id, c.first_at, c.last_at
    FROM conflict c JOIN identity_map v ON v.via = c.via JOIN identity_map a ON a.via = c.against
    WHERE (CAST(:before AS uuid) IS NULL OR c.id < CAST(:before AS uuid))
      AND (CAST(:reason AS text) IS NULL OR c.reason = :reason)
    ORDER BY c.id DESC LIMIT :limit""")


async def listing(session: ReadSession, before: UUID | None, limit: int, reason: str | None) -> Sequence[RowMapping]:
    """Conflicts, newest first, with today's customers of both identifiers."""
    found = await session.execute(_LIST, {"before": before, "limit": limit, "reason": reason})
    return found.mappings().all()
