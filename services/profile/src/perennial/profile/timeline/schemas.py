"""HTTP bodies of the timeline."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class TimelineEvent(BaseModel):
    """One event as it was sent, and what the platform made of it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    message_id: str
    type: str
    name: str | None
    timestamp: datetime = Field(description="When it happened, corrected for the client's clock.")
    received_at: datetime
    source: str
    live: bool = Field(description="False for imports and late arrivals, from which no message follows.")
    via: UUID = Field(description="The identifier that speaks for the customer.")
    body: dict[str, Any]
