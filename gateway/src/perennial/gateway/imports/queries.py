"""Reading mappings and uploads."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from perennial.common.db import ReadSession, WriteSession
from perennial.gateway.imports.models import ImportMapping


async def mapping(session: ReadSession, name: str) -> ImportMapping | None:
    """One mapping."""
    return await session.get(ImportMapping, name)


async def mappings(session: ReadSession, after: str | None, limit: int) -> Sequence[ImportMapping]:
    """Mappings by name."""
    statement = select(ImportMapping).order_by(ImportMapping.name).limit(limit)
    if after is not None:
        statement = statement.where(ImportMapping.name > after)
    return (await session.execute(statement)).scalars().all()


async def keep(session: WriteSession, kept: dict[str, object]) -> ImportMapping | None:
    """Store a mapping; None where the name is taken."""
    statement = insert(ImportMapping).values(kept).on_conflict_do_nothing().returning(ImportMapping)
    return (await session.execute(statement)).scalar_one_or_none()
