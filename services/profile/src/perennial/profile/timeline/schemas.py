"""HTTP bodies of the timeline."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common import masks
from perennial.common.auth import Principal


class TimelineEvent(BaseModel):
    """One event as it was sent, and what the platform made of it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    message_id: str
    type: str
    name: str | None
    timestamp: datetime = Field(description="When it happened, corrected for the client's clock.")
    original_timestamp: str | None = Field(description="When it happened by the client's clock, as it was sent.")
    sent_at: datetime | None = Field(description="When it was sent, by the client's clock.")
    received_at: datetime = Field(description="When it arrived.")
    source: str
    live: bool = Field(description="False for imports and late arrivals, from which no message follows.")
    via: UUID = Field(description="The identifier that speaks for the customer.")
    body: dict[str, Any]

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        shown = {
            "message_id": masks.text(principal, self.message_id, bare=False),
            "name": self.name and masks.text(principal, self.name, bare=False),
            "body": masks.body(principal, self.body),
        }
        return self.model_copy(update=shown)
