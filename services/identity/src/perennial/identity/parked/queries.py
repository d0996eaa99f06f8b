"""Parked events in SQL."""

from collections.abc import Sequence

from sqlalchemy import text

from perennial.common.db import ReadSession


async def bodies(session: ReadSession, ids: Sequence[int]) -> list[tuple[int, bytes]]:
    """The bodies of parked events that were not replayed yet."""
    rows = await session.execute(
        text("SELECT id, body FROM parked WHERE id = ANY(CAST(:ids AS bigint[])) AND replayed_at IS NULL ORDER BY id"),
        {"ids": list(ids)},
    )
    return [(row[0], row[1]) for row in rows]
