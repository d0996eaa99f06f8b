"""What is answered for an event that is not in the timeline."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field


class Reason(BaseModel):
    """Why an event was put aside: `no_identifier`, `too_old` and so on."""

    code: str
    detail: str


class ParkedEvent(BaseModel):
    """An event that was accepted and then put aside: nothing has followed from it. It can be replayed after a fix."""

    state: Literal["parked"]
    reason: Reason
    parked_at: datetime
    id: UUID
    message_id: str
    type: str
    name: str | None
    timestamp: datetime = Field(description="When it happened, corrected for the client's clock.")
    original_timestamp: str | None = Field(description="When it happened by the client's clock, as it was sent.")
    sent_at: datetime | None = Field(description="When it was sent, by the client's clock.")
    received_at: datetime = Field(description="When it arrived.")
    source: str
    live: bool
    body: dict[str, Any]
