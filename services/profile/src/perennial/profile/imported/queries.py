"""Tags that files give, in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.arrays import arrays

_GIVABLE = text("""
    SELECT key, lasts FROM tag_definition WHERE active AND kind IN ('manual', 'imported') ORDER BY key""")
_SAY = text("""
    INSERT INTO tag_assignment AS t (via, key, held, at, by, why, origin, expires_at)
    SELECT via, key, held, at, by, why, 'import', expires_at
    FROM unnest(CAST(CAST(:via AS text) AS uuid[]), CAST(CAST(:key AS text) AS text[]),
                CAST(CAST(:held AS text) AS boolean[]), CAST(CAST(:at AS text) AS timestamptz[]),
                CAST(CAST(:by AS text) AS text[]), CAST(CAST(:why AS text) AS text[]),
                CAST(CAST(:expires_at AS text) AS timestamptz[]))
        AS n (via, key, held, at, by, why, expires_at)
    ON CONFLICT (via, key) DO UPDATE SET held = excluded.held, at = excluded.at, by = excluded.by, why = excluded.why,
        origin = excluded.origin, expires_at = excluded.expires_at
    WHERE t.at <= excluded.at""")


class Given(NamedTuple):
    """What a file says of a tag of somebody; not `held`: it is taken back."""

    via: UUID
    key: str
    held: bool
    at: datetime
    by: str
    why: str
    expires_at: datetime | None


async def givable(session: ReadSession) -> dict[str, int | None]:
    """The tags that files may give, with the seconds for which they last."""
    return {row.key: row.lasts for row in await session.execute(_GIVABLE)}


async def say(session: WriteSession, given: Sequence[Given]) -> None:
    """Note it where nothing newer was said; one for each identifier and tag, in their order."""
    if given:
        await session.execute(_SAY, dict(zip(Given._fields, arrays(given), strict=True)))
