"""What the gateway says: events it has accepted."""

from datetime import datetime

import msgspec

SUBJECT = "gateway.events.accepted.v1"
STREAM = "INGEST"


class AcceptedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A valid tracking event, before anybody knows whose it is. `body` is the event as it was sent.

    `sent_at` is when the client says that it sent it, by its own clock; a batch says it once for all its events.
    """

    message_id: str
    type: str
    name: str | None
    timestamp: datetime
    received_at: datetime
    live: bool
    imported: bool
    body: msgspec.Raw
    sent_at: datetime | None = None


class EventsAccepted(msgspec.Struct, frozen=True):
    """`gateway.events.accepted.v1`: events of one source, of one request or of several at a time."""

    source: str
    events: list[AcceptedEvent]
