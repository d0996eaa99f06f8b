"""HTTP bodies of the life cycle."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.profile.params import Instant, Word
from perennial.profile.tags.definitions.schemas import Key, Label

Why = Annotated[Word, Field(max_length=500)]


class StageIn(BaseModel):
    """A stage: the last one of its ladder whose rule holds is the customer's."""

    model_config = ConfigDict(extra="forbid")

    key: Key
    label: Label
    rule: dict[str, Any] = Field(description="Of the platform's rule language; it may read `tags`.")
    requires: Key | None = Field(default=None, description="An earlier stage that must hold, or have been reached.")


class LadderIn(BaseModel):
    """The stages of a life cycle, in order."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    stages: list[StageIn] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        earlier: set[str] = set()
        for stage in self.stages:
            if stage.key in earlier:
                raise ValueError(f"stages: there are two called {stage.key}")
            if stage.requires is not None and stage.requires not in earlier:
                raise ValueError(f"stages: {stage.key} requires {stage.requires}, which does not come before it")
            earlier.add(stage.key)
        return self


class StageOut(StageIn):
    """A stage, and its rule in words."""

    sentence: str


class LadderOut(BaseModel):
    """A ladder. `origin` says whether it came with the platform; `edited`, that the shop has changed it since."""

    key: str
    label: Label
    stages: list[StageOut]
    origin: Literal["preset", "own"]
    edited: bool
    version: int
    updated_at: datetime


class LifecycleIn(BaseModel):
    """Which ladder is in use."""

    model_config = ConfigDict(extra="forbid")

    ladder: Key


class Lifecycle(BaseModel):
    """The ladder in use, and those there are."""

    ladder: str
    version: int
    ladders: list[LadderOut]


class StageCount(BaseModel):
    """How many customers stand on a stage."""

    key: str
    label: Label
    customers: int


class LifecycleSummary(BaseModel):
    """The stages of the ladder in use, in order."""

    ladder: str
    as_of: datetime | None = Field(description="When it was counted; every few minutes it is.")
    items: list[StageCount]


class StageSetting(BaseModel):
    """A stage that staff say, against the rules, and until when."""

    model_config = ConfigDict(extra="forbid")

    stage: Key
    why: Annotated[Why, Field(min_length=1)]
    expires_at: Instant | None = None


class StageChangeOut(BaseModel):
    """A step of a customer through a life cycle. `customer_id` bore it then: before a merge there were several."""

    id: int
    customer_id: UUID
    ladder: str
    before: str | None
    after: str | None
    by: str = Field(description="`rule:ladder:version`, or the principal who said so.")
    at: datetime
