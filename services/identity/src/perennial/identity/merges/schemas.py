"""Bodies of the routes on merges."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from perennial.common import masks, prose
from perennial.common.auth import Principal
from perennial.identity.deeds import Shown

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class MergeCreate(BaseModel):
    """Two customers to make one of; old ids will do."""

    model_config = ConfigDict(extra="forbid")

    customer_ids: list[UUID] = Field(min_length=2, max_length=2)
    reason: Reason


class MergeUndo(BaseModel):
    """Why they are two after all."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class MergeShown(Shown):
    """A merge, with both sides as they were before."""

    survivor: UUID
    merged: UUID
    kind: str = Field(description="auto or manual")
    evidence: dict[str, Any]
    survivor_vias: list[UUID]
    merged_vias: list[UUID]

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked; a reason is what somebody wrote."""
        evidence = masks.properties(principal, self.evidence)
        if "reason" in evidence:
            evidence["reason"] = prose.private(principal, self.evidence["reason"])
        return super().seen_by(principal).model_copy(update={"evidence": evidence})
