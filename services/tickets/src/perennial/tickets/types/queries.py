"""The SQL of ticket types."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from perennial.common.db import ReadSession
from perennial.tickets.types.models import TypeRow


async def newest(session: ReadSession, key: str) -> TypeRow | None:
    """The version in force."""
    wanted = select(TypeRow).where(TypeRow.key == key).order_by(TypeRow.version.desc()).limit(1)
    return (await session.execute(wanted)).scalar_one_or_none()


async def page(session: ReadSession, after: str, limit: int) -> Sequence[TypeRow]:
    """The version in force of each type, by key."""
    wanted = (
        select(TypeRow)
        .where(TypeRow.key > after)
        .ext(distinct_on(TypeRow.key))
        .order_by(TypeRow.key, TypeRow.version.desc())
        .limit(limit)
    )
    return (await session.execute(wanted)).scalars().all()
