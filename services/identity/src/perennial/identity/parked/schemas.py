"""Bodies of the routes on parked events."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class ParkedShown(BaseModel):
    """An event that could not be decided; the body is base64."""

    id: int
    subject: str
    event_id: UUID | None
    error: str
    parked_at: datetime
    body: str


class ReplayWanted(BaseModel):
    """Which parked events to decide again."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[int, Field(ge=1, lt=2**63)]] = Field(min_length=1, max_length=200)


class Refusal(BaseModel):
    """A parked event that stays parked."""

    id: int
    error: str


class ReplayDone(BaseModel):
    """What became of a replay; ids that were replayed before are in neither list."""

    replayed: list[int]
    failed: list[Refusal]
