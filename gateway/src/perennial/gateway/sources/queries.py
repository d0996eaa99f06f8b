"""Reading and listing sources."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import selectinload

from perennial.common.db import ReadSession
from perennial.gateway.sources.models import Source, WriteKey


async def by_id(session: ReadSession, source_id: str, *, for_update: bool = False) -> Source | None:
    """One source with its write keys."""
    statement = select(Source).where(Source.id == source_id).options(selectinload(Source.write_keys))
    if for_update:
        statement = statement.with_for_update(of=Source)
    return (await session.execute(statement)).scalar_one_or_none()


async def page(session: ReadSession, limit: int, after: tuple[datetime, str] | None) -> Sequence[Source]:
    """Sources in the order of their creation."""
    statement = (
        select(Source).options(selectinload(Source.write_keys)).order_by(Source.created_at, Source.id).limit(limit)
    )
    if after is not None:
        statement = statement.where(tuple_(Source.created_at, Source.id) > after)
    return (await session.execute(statement)).scalars().all()


async def live_keys(session: ReadSession) -> dict[str, Source]:
    """The source of every write key in use."""
    statement = select(WriteKey.key, Source).join(Source, Source.id == WriteKey.source_id)
    rows = await session.execute(statement.where(WriteKey.retired_at.is_(None)))
    return {key: source for key, source in rows}  # noqa: C416 (a row is no pair to the type checker)
