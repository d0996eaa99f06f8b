"""Orders on the wire."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from perennial.loyalty.fields import Storable

Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), Storable]


class ReleaseIn(BaseModel):
    """The order whose points need wait no longer."""

    model_config = ConfigDict(extra="forbid")

    source: Said = Field(description="The slug of the source that told of the order.")
    order_id: Said


class ReleasedOut(BaseModel):
    """What can be spent now that was pending."""

    model_config = ConfigDict(from_attributes=True)

    purchase_id: UUID
    source: str
    order_id: str
    customer_id: UUID
    points: dict[str, int] = Field(description="By currency.")
    posting_ids: list[UUID]
