"""What campaigns says: who is on a journey and which messages went out, or why not."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from perennial.common.contracts.base import CustomerId, ErasureReceipt, Event, RulesState, Via


class EnrolmentStarted(Event):
    """A customer entered a journey."""

    subject: ClassVar[str] = "campaigns.enrolment.started.v1"

    enrolment_id: UUID
    journey_id: UUID
    journey_version: int
    via: Via
    customer: CustomerId


class EnrolmentEnded(Event):
    """A customer left a journey: completed, or exited for a reason."""

    subject: ClassVar[str] = "campaigns.enrolment.ended.v1"

    enrolment_id: UUID
    journey_id: UUID
    via: Via
    customer: CustomerId
    reason: str = Field(description="`completed`, or why the customer left before the end.")
    step: str | None = Field(default=None, description="The step on which the journey ended.")


class MessageSent(Event):
    """A channel took a message."""

    subject: ClassVar[str] = "campaigns.message.sent.v1"

    message_id: UUID
    journey_id: UUID
    step: str | None = None
    channel: str
    via: Via
    customer: CustomerId


class MessageSuppressed(Event):
    """A message was not sent, and why."""

    subject: ClassVar[str] = "campaigns.message.suppressed.v1"

    message_id: UUID
    journey_id: UUID
    step: str | None = None
    channel: str
    via: Via
    customer: CustomerId
    reason: str


class ErasureCompleted(ErasureReceipt):
    """What campaigns held about a person is erased."""

    subject: ClassVar[str] = "campaigns.erasure.completed.v1"


class RulesChanged(RulesState):
    """Journeys that are new or another, and the segments that they ask for."""

    subject: ClassVar[str] = "campaigns.rules.changed.v1"
