"""HTTP bodies of journeys."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.campaigns.plain import Plain
from perennial.common.web.fields import left_out

State = Literal["draft", "published", "paused", "archived"]
Name = Annotated[Plain, Field(min_length=1, max_length=200)]


class JourneyBody(BaseModel):
    """A journey's name and draft."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    definition: dict[str, Any] = Field(description="Trigger, steps, exit_on, reentry; see the README of the service.")


class JourneyPatch(BaseModel):
    """What to change (RFC 7396 merge patch, inside the definition too): null takes a member away."""

    model_config = ConfigDict(extra="forbid")

    name: Name = left_out()
    definition: dict[str, Any] = left_out()


class JourneyView(BaseModel):
    """A journey. `definition` is the draft; `published_version` is what new enrolments take."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    state: State
    definition: dict[str, Any]
    published_version: int | None
    revision: int
    created_at: datetime
    updated_at: datetime


class VersionView(BaseModel):
    """A published version; it never changes."""

    model_config = ConfigDict(from_attributes=True)

    version: int
    definition: dict[str, Any]
    published_at: datetime
    published_by: str


class EnrolBody(BaseModel):
    """Either a segment's members or these customers."""

    model_config = ConfigDict(extra="forbid")

    segment_id: UUID | None = None
    customer_ids: list[UUID] | None = Field(default=None, min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.segment_id is None) == (self.customer_ids is None):
            raise ValueError("give either segment_id or customer_ids")
        return self


class Enrolled(BaseModel):
    """How many entered, and why the others did not."""

    enrolled: int
    refused: dict[str, int]


class StepFunnel(BaseModel):
    """A step: how many entered, how many are there now, and how the others left."""

    id: str
    kind: str
    entered: int
    here: int
    outcomes: dict[str, int]


class FunnelView(BaseModel):
    """How far people came. `version` null: all versions together. `refused` covers 30 days."""

    journey_id: UUID
    version: int | None
    enrolled: int
    active: int
    completed: int
    exited: dict[str, int]
    refused: dict[str, int]
    steps: list[StepFunnel]
