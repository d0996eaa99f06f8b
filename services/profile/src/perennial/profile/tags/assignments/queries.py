"""The SQL of tags that were given."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import WriteSession

_SAY = text("""
    INSERT INTO tag_assignment AS t (via, key, held, at, by, why, origin, expires_at)
    SELECT via, :key, :held, :at, :by, :why, :origin, :expires_at FROM unnest(CAST(:vias AS uuid[])) AS via
    ORDER BY via
    ON CONFLICT (via, key) DO UPDATE SET held = excluded.held, at = excluded.at, by = excluded.by, why = excluded.why,
        origin = excluded.origin, expires_at = excluded.expires_at
    WHERE t.at <= excluded.at""")


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says of a tag: held or taken back, when, by whom, why, until when."""

    key: str
    held: bool
    at: datetime
    by: str
    origin: str
    why: str | None = None
    expires_at: datetime | None = None


async def say(session: WriteSession, vias: Collection[UUID], said: Said) -> None:
    """Note it under identifiers; the newest of a customer's counts."""
    values = {name: getattr(said, name) for name in ("key", "held", "at", "by", "origin", "why", "expires_at")}
    await session.execute(_SAY, {"vias": sorted(set(vias)), **values})
