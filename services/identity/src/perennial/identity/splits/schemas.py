"""Bodies of the routes on splits."""

from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common import prose
from perennial.common.auth import Principal
from perennial.identity.deeds import Shown
from perennial.identity.merges.schemas import Reason

MOST = 1000


class SplitCreate(BaseModel):
    """A customer, by today's id or an old one, and those of its identifiers that are somebody else."""

    model_config = ConfigDict(extra="forbid")

    customer_id: UUID
    identifiers: list[UUID] = Field(min_length=1, max_length=MOST, description="Ids of identifiers; some, not all.")
    reason: Reason


class SplitUndo(BaseModel):
    """Why they are one after all."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class SplitShown(Shown):
    """A split. The side that holds the founding identifier has kept the name, whichever of the two it is."""

    customer_id: UUID = Field(description="Who was split: the name that one side has kept.")
    separated: UUID = Field(description="The name of the other side: its oldest identifier.")
    identifiers: list[UUID]
    remaining: list[UUID]
    reason: str
    created_by: str
    undone_by: str | None
    merge_id: UUID | None = Field(description="The merge by which it was undone.")

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked; a reason is what somebody wrote."""
        return super().seen_by(principal).model_copy(update={"reason": prose.private(principal, self.reason)})
