"""What the gateway says: events it has accepted."""

from datetime import datetime
from typing import ClassVar

import msgspec

from perennial.common.contracts.base import ErasureReceipt, IntakeState

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


class ErasureCompleted(ErasureReceipt):
    """What the gateway held about a person is erased."""

    subject: ClassVar[str] = "gateway.erasure.completed.v1"


class IntakeMeasured(IntakeState):
    """What the gateway turned away, by source and day: rejected:<code>. Quarantined: kept and not replayed yet."""

    subject: ClassVar[str] = "gateway.intake.measured.v1"
