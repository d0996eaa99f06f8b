"""What the gateway says: events it has accepted."""

from datetime import datetime

import msgspec

SUBJECT = "gateway.events.accepted.v1"
STREAM = "INGEST"


class AcceptedEvent(msgspec.Struct, frozen=True):
    """A valid tracking event, before anybody knows whose it is. `body` is the event as it was sent."""

    message_id: str
    type: str
    name: str | None
    timestamp: datetime
    received_at: datetime
    live: bool
    imported: bool
    body: msgspec.Raw


class EventsAccepted(msgspec.Struct, frozen=True):
    """`gateway.events.accepted.v1`: the events of one request, of one source."""

    source: str
    events: list[AcceptedEvent]
