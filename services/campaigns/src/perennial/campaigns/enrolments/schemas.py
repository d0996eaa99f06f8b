"""HTTP bodies of enrolments."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, model_validator

State = Literal["active", "waiting", "completed", "exited"]


class EnrolmentView(BaseModel):
    """A walk along a journey. `customer_id` is whose it is today; `via` the identifier by which it began."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    journey_id: UUID
    version: int
    customer_id: UUID
    via: UUID
    state: State
    step: str
    reason: str | None
    entered_at: datetime
    due_at: datetime | None
    ended_at: datetime | None

    @model_validator(mode="after")
    def _over(self) -> Self:
        if self.ended_at is not None:
            self.due_at = None
        return self


class StepView(BaseModel):
    """A step entered; `outcome` null: still there."""

    model_config = ConfigDict(from_attributes=True)

    step: str
    entered_at: datetime
    left_at: datetime | None
    outcome: str | None


class MessageLine(BaseModel):
    """A message of a walk, in short."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    step: str
    channel: str
    status: str
    reason: str | None


class EnrolmentStory(EnrolmentView):
    """A walk with all that happened: what began it, every step, every message, what ended it."""

    cause: dict[str, Any]
    ended_by: dict[str, Any] | None
    steps: list[StepView]
    messages: list[MessageLine]


class RefusedView(BaseModel):
    """Somebody who fulfilled a trigger and was not enrolled."""

    model_config = ConfigDict(from_attributes=True)

    customer_id: UUID
    via: UUID
    reason: str
    at: datetime
