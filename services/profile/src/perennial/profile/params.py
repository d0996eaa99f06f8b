"""Parameters that several routes share."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from perennial.common.problems import NotFound
from perennial.common.web.fields import Spelled

EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


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
