"""What identity says: whose events they are, and how the map of identifiers changed."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec
from pydantic import Field

from perennial.common.contracts.base import CustomerId, ErasureReceipt, Event, IntakeState, Part, Version, Via, personal

RESOLVED_SUBJECT = "identity.events.resolved.v1"
RESOLVED_STREAM = "EVENTS"


class ResolvedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tracking event with its identifier and that identifier's customer.

    `id` is the digest of source and message id: the same for every repeat. `name` is the event's semantic name where
    it has one. `timestamp` is corrected for the client's clock, `sent_at` is what that clock said when the client sent
    it. `body` is the event as it was sent, `imported` whether it came from a list.
    """

    id: UUID
    via: UUID
    customer: UUID
    version: int
    source: str
    message_id: str
    type: str
    name: str | None
    timestamp: datetime
    received_at: datetime
    live: bool
    body: msgspec.Raw
    sent_at: datetime | None = None
    imported: bool = False


class EventsResolved(msgspec.Struct, frozen=True):
    """`identity.events.resolved.v1.<partition>`: events whose identifiers share a partition."""

    events: list[ResolvedEvent]


class Assignment(Part):
    """One identifier and its customer."""

    via: Via
    customer: CustomerId
    version: Version
    kind: str | None = None
    digest: str | None = personal("sensitive", default=None, description="Keyed blind index of the identifier, hex.")


class IdentifiersAssigned(Event):
    """The map changed: the full state of some identifiers, the highest version wins."""

    subject: ClassVar[str] = "identity.identifiers.assigned.v1"
    state: ClassVar[bool] = True

    assignments: list[Assignment]


class CustomersMerged(Event):
    """Two customers turned out to be one."""

    subject: ClassVar[str] = "identity.customer.merged.v1"

    merge_id: UUID
    survivor: CustomerId
    merged: CustomerId
    kind: str = Field(description="auto or manual")


class CustomersSeparated(Event):
    """One customer is two: a merge was undone, or a person has split it. `survivor` has kept its name."""

    subject: ClassVar[str] = "identity.customer.separated.v1"

    merge_id: UUID = Field(description="The merge that was undone, or the split.")
    survivor: CustomerId
    separated: CustomerId
    cause: str = Field(default="separated", description="separated (a merge was undone) or split")


class IdentifierShared(Event):
    """An identifier turned out to belong to several people: it left its customer, and joins nobody from now on."""

    subject: ClassVar[str] = "identity.identifier.shared.v1"

    via: Via
    customer: CustomerId
    met: int = Field(ge=0, description="How many different user ids it was seen beside; 0 when a person has said so.")


class ErasureCompleted(ErasureReceipt):
    """What identity held about a person is erased."""

    subject: ClassVar[str] = "identity.erasure.completed.v1"


class CustomerErased(Event):
    """A person is forgotten: every service erases what it holds under these identifiers, and so should partners.

    What was said before `at` is not taken in any more, however late it arrives.
    """

    subject: ClassVar[str] = "identity.customer.erased.v1"

    erasure_id: UUID
    customer: UUID = Field(description="Who it was; nobody by now.")
    vias: list[UUID] = Field(description="All identifiers of the customer, the one that named it among them.")
    at: datetime
    digests: list[str] = personal("sensitive", default=[], description="Keyed blind indexes of the identifiers, hex.")


class IntakeMeasured(IntakeState):
    """What identity did with events, by source and hour of receipt.

    accepted; repeated (dropped); parked:<reason>; timed (accepted, not imported) and of these late_1h (received an hour
    to a day after they happened), late_1d (to a week), late_7d. Of identifiers: shared, by the sources they came from.
    """

    subject: ClassVar[str] = "identity.intake.measured.v1"
