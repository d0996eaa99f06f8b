"""HTTP bodies of messages."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

Status = Literal["queued", "sent", "not_sent", "failed"]


class MessageView(BaseModel):
    """A message of a journey's step; `at` is when it was sent, or decided that it would not be.

    `to` is masked, and `subject` hidden, from whoever does not see the address or what the text was made of.
    """

    id: UUID
    journey_id: UUID
    version: int
    step: str
    enrolment_id: UUID
    customer_id: UUID
    via: UUID
    channel: str
    purpose: str
    to: str | None
    subject: str | None
    status: Status
    reason: str | None
    attempts: int
    created_at: datetime
    at: datetime | None


class MessageStory(MessageView):
    """One message, with its text as far as it may be seen, and why it was sent or not."""

    body: str | None
    provider_id: str | None
    customer_at_decision: UUID
    explanation: str
    detail: dict[str, Any] | None


class MessageSummary(BaseModel):
    """Counts. `not_sent` holds every reason, that of failed ones too."""

    sent: int
    queued: int
    failed: int
    not_sent: dict[str, int]
