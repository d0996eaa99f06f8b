"""Reading what somebody chose for the roles."""

from collections.abc import Sequence

from sqlalchemy import select

from perennial.common.db import ReadSession
from perennial.gateway.principals.roles.models import RoleFields


async def chosen(session: ReadSession) -> Sequence[RoleFields]:
    """Every choice."""
    return (await session.execute(select(RoleFields))).scalars().all()


async def by_name(session: ReadSession, name: str, *, for_update: bool = False) -> RoleFields | None:
    """The choice for one role."""
    return await session.get(RoleFields, name, with_for_update=for_update or None)
