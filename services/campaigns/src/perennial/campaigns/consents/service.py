"""Obeys what customers have said: the newest statement holds, and of two at one instant the withdrawal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from perennial.campaigns.channels.sender import channel_name
from perennial.campaigns.consents import queries
from perennial.campaigns.consents.queries import Said, Statement
from perennial.common import notify
from perennial.common.db import WriteSession

EVERY = "*"
GIVEN, WITHDRAWN = "given", "withdrawn"


async def take(session: WriteSession, statements: Iterable[Statement]) -> None:
    """Take statements over, in any order. What is about to leave is stopped by a withdrawal at once."""
    newest: dict[tuple[UUID, str, str], Statement] = {}
    for item in statements:
        key = (item.via, item.purpose, item.channel)
        if key not in newest or newest[key].version < item.version:
            newest[key] = item
    await queries.put(session, [newest[key] for key in sorted(newest)])
    withdrawn = sorted({item.via for item in newest.values() if item.state == WITHDRAWN})
    if withdrawn:
        for channel in sorted(await queries.doubt(session, withdrawn)):
            await notify.notify(session, channel_name(channel))


def refusal(said: Sequence[Said], purpose: str, channel: str, now: datetime) -> Mapping[str, Any] | None:
    """Why a message may not go out, by the newest statement on the channel or on all; None when it may.

    Of somebody who never said anything nothing follows.
    """
    found = [item for item in said if item.purpose == purpose and item.channel in {channel, EVERY}]
    if not found:
        return None
    last = max(found, key=lambda item: item.version)
    expired = last.expires_at is not None and last.expires_at <= now
    if last.state == GIVEN and not expired:
        return None
    state = "expired" if last.state == GIVEN else last.state
    return {"purpose": purpose, "channel": last.channel, "state": state, "at": last.at.isoformat()}
