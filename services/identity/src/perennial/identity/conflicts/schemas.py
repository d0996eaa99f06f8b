"""Bodies of the routes on conflicts."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common import masks, prose
from perennial.common.auth import Principal
from perennial.identity.merges.schemas import Reason

State = Literal["open", "approved", "dismissed"]
Cause = Literal["two_user_ids", "limit", "separated", "approval"]


class ConflictDecision(BaseModel):
    """Why, for whoever looks at it later."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class ConflictShown(BaseModel):
    """An identifier that was left out of events, and why."""

    id: UUID
    reason: Cause
    kind: str = Field(description="The kind (or the rule of a namespace or an app) of which there would be too many.")
    via: UUID = Field(description="The identifier that was left out.")
    against: UUID = Field(description="The strongest identifier of the event.")
    customer_id: UUID = Field(description="Today's customer of the identifier that was left out.")
    against_customer_id: UUID
    count: int
    evidence: dict[str, Any]
    last_event_id: UUID
    first_at: datetime
    last_at: datetime
    state: State
    decided_at: datetime | None
    decided_by: str | None
    decision: str | None = Field(description="Why a person has decided so.")
    merge_id: UUID | None

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked; a decision is what somebody wrote."""
        evidence = masks.properties(principal, self.evidence)
        return self.model_copy(update={"evidence": evidence, "decision": prose.private(principal, self.decision)})
