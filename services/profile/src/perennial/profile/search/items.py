"""What a list shows of a customer."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field

from perennial.common import masks
from perennial.common.auth import Principal


class CustomerItem(BaseModel):
    """A customer in a list. Traits are of now; all else follows events within seconds."""

    id: UUID
    traits: dict[str, Any]
    computed: dict[str, Any] = Field(default_factory=dict, description="Computed traits by key.")
    tags: list[str] = Field(default_factory=list)
    stage: str | None = Field(default=None, description="Of the life cycle.")
    first_seen: datetime | None
    last_seen: datetime | None
    events: int

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        shown = {"traits": masks.traits(principal, self.traits), "computed": masks.traits(principal, self.computed)}
        return self.model_copy(update=shown)
