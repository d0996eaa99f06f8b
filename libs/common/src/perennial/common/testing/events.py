"""Customers' events for tests, as identity would publish them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.ids import digest_uuid, uuid7


def tracked(  # noqa: PLR0913 (a builder)
    name: str,
    properties: dict[str, Any] | None = None,
    *,
    via: UUID | None = None,
    customer: UUID | None = None,
    at: datetime | None = None,
    live: bool = True,
    source: str = "shop",
    message_id: str | None = None,
    version: int = 1,
) -> ResolvedEvent:
    """A `track` event."""
    return _event("track", name, {"event": name, "properties": properties or {}}, via, customer, at, live, source,
                  message_id, version)  # fmt: skip


def identified(  # noqa: PLR0913 (a builder)
    traits: dict[str, Any],
    *,
    via: UUID | None = None,
    customer: UUID | None = None,
    at: datetime | None = None,
    live: bool = True,
    source: str = "shop",
    message_id: str | None = None,
    version: int = 1,
) -> ResolvedEvent:
    """An `identify` event."""
    return _event("identify", None, {"traits": traits}, via, customer, at, live, source, message_id, version)


def _event(  # noqa: PLR0913 (the builders' common part)
    kind: str,
    name: str | None,
    body: dict[str, Any],
    via: UUID | None,
    customer: UUID | None,
    at: datetime | None,
    live: bool,
    source: str,
    message_id: str | None,
    version: int,
) -> ResolvedEvent:
    message_id = message_id or uuid4().hex
    via = via or uuid7()
    now = datetime.now(UTC)
    raw = msgspec.Raw(msgspec.json.encode({"type": kind, "messageId": message_id, **body}))
    return ResolvedEvent(
        id=digest_uuid(source, message_id), via=via, customer=customer or via, version=version, source=source,
        message_id=message_id, type=kind, name=name, timestamp=at or now, received_at=now, live=live, body=raw,
    )  # fmt: skip
