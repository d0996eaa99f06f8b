"""The SQL of what is defined in versions."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from perennial.common.db import ReadSession
from perennial.tickets.versions.models import Definition

D = TypeVar("D", bound=Definition)


async def newest(session: ReadSession, kind: type[D], key: str) -> D | None:
    """The version in force."""
    wanted = select(kind).where(kind.key == key).order_by(kind.version.desc()).limit(1)
    return (await session.execute(wanted)).scalar_one_or_none()


async def page(session: ReadSession, kind: type[D], after: str, limit: int) -> Sequence[D]:
    """The version in force of each key."""
    wanted = (
        select(kind)
        .where(kind.key > after)
        .ext(distinct_on(kind.key))
        .order_by(kind.key, kind.version.desc())
        .limit(limit)
    )
    return (await session.execute(wanted)).scalars().all()
