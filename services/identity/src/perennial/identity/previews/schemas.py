"""What `?preview=true` answers."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from perennial.common.preview.looking import Assigned


class CustomerAhead(BaseModel):
    """A customer as it would be."""

    id: UUID
    identifiers: list[UUID]


class ShownAhead(BaseModel):
    """What a service shows of the customers in question now, and what it would show, by customer."""

    before: dict[UUID, Any]
    after: dict[UUID, Any]


class MapPreview(BaseModel):
    """What would change, and what every service would show then. Nothing has happened."""

    preview: Literal[True]
    assignments: list[Assigned] = Field(description="The identifiers that would change their customer.")
    customers: list[CustomerAhead]
    services: dict[str, ShownAhead] | SkipJsonSchema[None] = Field(
        default=None, description="By service, as its own routes would show it to you."
    )
    withheld: list[str] | SkipJsonSchema[None] = Field(
        default=None, description="Services whose routes you may not read."
    )
    unavailable: list[str] | SkipJsonSchema[None] = Field(
        default=None, description="Services that did not answer in time: ask again."
    )


Previewed = Annotated[bool, Query(description="Change nothing, and answer what every service would show.")]
PREVIEWED: dict[int | str, dict[str, Any]] = {
    200: {"model": MapPreview, "description": "With `preview=true`: what would be. Nothing has changed."}
}
