"""What segments says: who entered and who left."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from perennial.common.contracts.base import CustomerId, ErasureReceipt, Event, Part, Version


class Membership(Part):
    """The state of one customer in one segment."""

    segment_id: UUID
    segment_name: str
    customer: CustomerId
    member: bool
    since: datetime
    version: Version


class MembershipsChanged(Event):
    """State for whoever keeps a copy of memberships; live or not."""

    subject: ClassVar[str] = "segments.memberships.changed.v1"
    state: ClassVar[bool] = True

    memberships: list[Membership]


class MembershipEntered(Event):
    """A live event or the clock made a customer a member, or somebody asked to have said who is one.

    Then it bears the version and the time of the entry: who has heard of that version has nothing to do.
    """

    subject: ClassVar[str] = "segments.membership.entered.v1"

    segment_id: UUID
    segment_name: str
    customer: CustomerId
    version: Version
    announced: bool = Field(default=False, description="Said, perhaps once more, because somebody asked for it.")


class MembershipExited(Event):
    """A live event or the clock ended a membership."""

    subject: ClassVar[str] = "segments.membership.exited.v1"

    segment_id: UUID
    segment_name: str
    customer: CustomerId
    version: Version


class ErasureCompleted(ErasureReceipt):
    """What segments held about a person is erased."""

    subject: ClassVar[str] = "segments.erasure.completed.v1"
