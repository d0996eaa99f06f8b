"""Bodies of the route on conflicts."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field

from perennial.common import masks
from perennial.common.auth import Principal


class ConflictShown(BaseModel):
    """An identifier that was left out of events, and why."""

    id: UUID
    reason: str = Field(description="two_user_ids, limit or separated")
    kind: str = Field(description="The kind of which the customer would have had too many.")
    via: UUID = Field(description="The identifier that was left out.")
    against: UUID = Field(description="The strongest identifier of the event.")
    customer_id: UUID = Field(description="Today's customer of the identifier that was left out.")
    against_customer_id: UUID
    count: int
    evidence: dict[str, Any]
    last_event_id: UUID
    first_at: datetime
    last_at: datetime

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        return self.model_copy(update={"evidence": masks.properties(principal, self.evidence)})
