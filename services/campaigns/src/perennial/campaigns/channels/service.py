"""Changing channels."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from perennial.campaigns.channels import queries
from perennial.campaigns.channels.models import Channel
from perennial.common.db import ReadSession, WriteSession
from perennial.common.problems import NotFound
from perennial.common.web.etags import match

NAMES = ("email", "sandbox")
SENDER = "Perennial <no-reply@perennial.invalid>"
CAP = 3


async def ensure(session: WriteSession) -> None:
    """Make the channels at the first start: three messages a day to a customer, no quiet hours."""
    await queries.ensure(session, NAMES, SENDER, CAP)


async def channel(session: ReadSession, name: str, *, lock: bool = False) -> Channel:
    """The channel of that name. Raises NotFound."""
    found = await queries.channel(session, name, lock=lock)
    if found is None:
        raise NotFound(f"there is no channel {name[:64]}", pointer="path/name")
    return found


async def change(session: WriteSession, name: str, values: Mapping[str, Any], expected: int | None) -> Channel:
    """Replace a channel's settings. Raises NotFound, PreconditionFailed."""
    found = await channel(session, name, lock=True)
    match(expected, found.version)
    for field, value in values.items():
        setattr(found, field, value)
    found.version += 1
    found.updated_at = datetime.now(UTC)
    await session.flush()
    return found
