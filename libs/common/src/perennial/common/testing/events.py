"""Customers' events for tests, as identity would publish them."""

from dataclasses import dataclass
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
    body = {"event": name, "properties": properties or {}}
    return _event("track", name, body, Options(via, customer, at, live, source, message_id, version))


def identified(
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
    return _event("identify", None, {"traits": traits}, Options(via, customer, at, live, source, message_id, version))


@dataclass(frozen=True)
class Options:
    """What the builders have in common."""

    via: UUID | None
    customer: UUID | None
    at: datetime | None
    live: bool
    source: str
    message_id: str | None
    version: int


def _event(kind: str, name: str | None, body: dict[str, Any], options: Options) -> ResolvedEvent:
    message_id = options.message_id or uuid4().hex
    via = options.via or uuid7()
    now = datetime.now(UTC)
    return ResolvedEvent(
        id=digest_uuid(options.source, message_id),
        via=via,
        customer=options.customer or via,
        version=options.version,
        source=options.source,
        message_id=message_id,
        type=kind,
        name=name,
        timestamp=options.at or now,
        received_at=now,
        live=options.live,
        body=msgspec.Raw(msgspec.json.encode({"type": kind, "messageId": message_id, **body})),
    )
