"""Shared identifiers in SQL."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession

_SHOWN = """
    SELECT i.id, i.kind, i.digest, i.sealed, m.customer_id, s.event_id, s.shared_by, s.reason, s.at,
           (SELECT count(*) FROM met WHERE met.via = s.via) AS met
    FROM shared s JOIN identifier i ON i.id = s.via JOIN identity_map m ON m.via = s.via"""
_LIST = text(f"""{_SHOWN}
    WHERE CAST(:after AS uuid) IS NULL OR s.via > CAST(:after AS uuid) ORDER BY s.via LIMIT :limit""")
_SHARE = text("INSERT INTO shared (via, shared_by, reason) VALUES (:via, :who, :reason)")


async def listing(session: ReadSession, after: UUID | None, limit: int) -> Sequence[RowMapping]:
    """Shared identifiers in the order of their ids; the values are sealed."""
    return (await session.execute(_LIST, {"after": after, "limit": limit})).mappings().all()


async def share(session: WriteSession, via: UUID, who: str, reason: str) -> None:
    """Mark an identifier as shared because a person says so."""
    await session.execute(_SHARE, {"via": via, "who": who, "reason": reason})


async def unshare(session: WriteSession, via: UUID) -> None:
    """It is one person's again, and whom it was seen beside is forgotten."""
    await session.execute(text("DELETE FROM shared WHERE via = :via"), {"via": via})
    await session.execute(text("DELETE FROM met WHERE via = :via"), {"via": via})
