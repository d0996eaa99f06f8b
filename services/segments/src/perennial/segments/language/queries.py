"""Names of segments."""

from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession


async def names(session: ReadSession) -> dict[UUID, str]:
    """Of every segment that is not archived."""
    rows = await session.execute(text("SELECT id, name FROM segment WHERE state <> 'archived'"))
    return {row.id: row.name for row in rows}
