"""Bodies of the routes on shared identifiers."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common import masks, prose
from perennial.common.auth import Principal
from perennial.identity.merges.schemas import Reason


class SharingDecision(BaseModel):
    """Why, for whoever looks at it later."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class SharedShown(BaseModel):
    """An identifier that belongs to several people; the value is masked for who does not see its kind."""

    id: UUID
    kind: str
    value: str
    customer_id: UUID = Field(description="It alone, unless a person has merged it with somebody.")
    met: int = Field(description="How many different user ids it was seen beside.")
    event_id: UUID | None = Field(description="The event that showed it; null when a person has said so.")
    shared_by: str | None
    reason: str | None
    at: datetime

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked; a reason is what somebody wrote."""
        value, reason = masks.identifier(principal, self.kind, self.value), prose.private(principal, self.reason)
        return self.model_copy(update={"value": value, "reason": reason})


class IdentifierState(BaseModel):
    """An identifier, and whether it is shared."""

    id: UUID
    kind: str
    customer_id: UUID
    shared: bool
