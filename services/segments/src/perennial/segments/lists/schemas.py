"""HTTP bodies of lists."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Member = Annotated[
    str,
    Field(min_length=1, max_length=400, description="A customer's id, or an identifier as `kind:value`."),
]


class MembersIn(BaseModel):
    """Who is to be put on a list, or taken off it."""

    model_config = ConfigDict(extra="forbid")

    members: list[Member] = Field(min_length=1, max_length=1000)


class MemberResult(BaseModel):
    """What became of one of them, in the order of the request."""

    member: str
    outcome: str = Field(description="added, already, removed, not_listed, unknown or invalid")


class MembersResult(BaseModel):
    """What became of them. The list is computed anew within a second: `as_of` of the segment tells."""

    segment_id: UUID
    items: list[MemberResult]
