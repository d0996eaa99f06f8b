"""Parameters that several routes share."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from perennial.common.auth import Principal, requires
from perennial.common.problems import NotFound
from perennial.common.web import Read
from perennial.common.web.fields import Spelled
from perennial.profile.traits.definitions import schema

EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def with_classes(scope: str) -> Callable[..., Awaitable[Principal]]:
    """Requires a scope of a principal, who sees by the classes that the shop has given its own traits."""

    async def asker(session: Read, who: Annotated[Principal, Depends(requires(scope))]) -> Principal:
        return schema.seeing(who, await schema.in_force(session))

    return asker


MayRead = Annotated[Principal, Depends(with_classes("customers:read"))]
"""Who may read customers, with the classes that the shop has given its own traits."""


def _storable(value: object) -> object:
    if isinstance(value, str) and "\x00" in value:
        raise ValueError("must not contain NUL")
    return value


def _in_range(value: datetime) -> datetime:
    if not EARLIEST <= value <= LATEST:
        raise ValueError("must lie between the years 1 and 9999")
    return value.astimezone(UTC)


Word = Annotated[str, BeforeValidator(_storable)]
"""Text that Postgres can hold."""

Instant = Annotated[AwareDatetime, AfterValidator(_in_range), Spelled]
"""A time with its zone, within what Postgres and Python can count."""


def nobody(any_id: UUID) -> NotFound:
    """What to raise for an id that no customer has or had."""
    return NotFound(f"id: there is no customer {any_id}", pointer="path/id")


def no_event(message_id: str) -> NotFound:
    """What to raise for a message id that nobody has sent."""
    return NotFound(f"message_id: there is no event {message_id!r}", pointer="path/message_id")
