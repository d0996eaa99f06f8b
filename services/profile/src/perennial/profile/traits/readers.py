"""Who may read customers, as the classes of the shop's own traits have it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends

from perennial.common.auth import Principal, requires
from perennial.common.web import Read
from perennial.profile.traits.definitions import schema


def with_classes(scope: str) -> Callable[..., Awaitable[Principal]]:
    """Requires a scope of a principal, who sees by the classes that the shop has given its own traits."""

    async def asker(session: Read, who: Annotated[Principal, Depends(requires(scope))]) -> Principal:
        return schema.seeing(who, await schema.in_force(session))

    return asker


MayRead = Annotated[Principal, Depends(with_classes("customers:read"))]
"""Who may read customers, with the classes that the shop has given its own traits."""
