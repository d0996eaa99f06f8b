"""Bodies of the routes on suggestions."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from perennial.common import prose
from perennial.common.auth import Principal

State = Literal["pending", "approved", "rejected", "withdrawn"]


class Decision(BaseModel):
    """Why, for whoever looks at it later."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class AgreementShown(BaseModel):
    """How two customers agree in one field. Their values stay where they are."""

    level: Literal["equal", "similar", "different", "missing"]
    weight: float = Field(description="Bits for a match, or against it when below zero.")


class SuggestionShown(BaseModel):
    """Two customers that share no identifier and are probably one person."""

    id: UUID
    customer_ids: list[UUID]
    state: State
    weight: float = Field(description="The sum of the fields and of how rare matches are, in bits.")
    probability: float
    fields: dict[str, AgreementShown]
    created_at: datetime
    seen_at: datetime = Field(description="When the job last found the pair.")
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None
    merge_id: UUID | None

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked; a reason is what somebody wrote."""
        return self.model_copy(update={"reason": prose.private(principal, self.reason)})
