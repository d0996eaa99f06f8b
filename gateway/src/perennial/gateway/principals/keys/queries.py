"""Reading and listing API keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import or_, select, text, tuple_

from perennial.common.db import ReadSession, WriteSession
from perennial.gateway.principals.keys.models import ApiKey

_USED = text("""
    UPDATE api_key SET last_used_at = greatest(last_used_at, used.at)
    FROM unnest(CAST(:ids AS text[]), CAST(:at AS timestamptz[])) AS used (id, at)
    WHERE api_key.id = used.id""")


async def live(session: ReadSession) -> Sequence[ApiKey]:
    """Every key that was not revoked."""
    return (await session.execute(select(ApiKey).where(ApiKey.revoked_at.is_(None)))).scalars().all()


async def live_among(session: ReadSession, digests: Sequence[bytes], ids: Sequence[str]) -> Sequence[ApiKey]:
    """Those keys that were not revoked, by the digest of their text or by their id."""
    named = or_(ApiKey.digest.in_(digests), ApiKey.previous_digest.in_(digests), ApiKey.id.in_(ids))
    return (await session.execute(select(ApiKey).where(ApiKey.revoked_at.is_(None), named))).scalars().all()


async def by_id(session: ReadSession, key_id: str, *, for_update: bool = False) -> ApiKey | None:
    """One key."""
    return await session.get(ApiKey, key_id, with_for_update=for_update or None)


async def page(session: ReadSession, limit: int, after: tuple[datetime, str] | None) -> Sequence[ApiKey]:
    """Keys in the order of their creation."""
    statement = select(ApiKey).order_by(ApiKey.created_at, ApiKey.id).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(ApiKey.created_at, ApiKey.id) > after)
    return (await session.execute(statement)).scalars().all()


async def mark_used(session: WriteSession, used: Mapping[str, datetime]) -> None:
    """Note when keys were last seen."""
    ordered = sorted(used)
    await session.execute(_USED, {"ids": ordered, "at": [used[key_id] for key_id in ordered]})
