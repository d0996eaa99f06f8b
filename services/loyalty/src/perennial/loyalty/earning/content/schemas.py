"""Content on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from perennial.loyalty.earning.content.definition import State
from perennial.loyalty.fields import Storable

Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), Storable]


class DecideIn(BaseModel):
    """Why it is decided so; for colleagues, and for whoever made it."""

    model_config = ConfigDict(extra="forbid")

    note: Note | None = None


class ContentOut(BaseModel):
    """A review, a post, a photo: what it says, what was decided, and what stands of what it brought."""

    id: UUID
    customer_id: UUID
    kind: str
    source: str
    key: str
    subject: str | None
    text: str | None
    media: list[str]
    at: datetime
    state: State
    decided_at: datetime | None
    decided_by: str | None = Field(description="Whose decision; `event` by one of the shop's, `programme` by itself.")
    note: str | None
    points: dict[str, int] = Field(description="By currency.")
    version: int


class MyContentOut(BaseModel):
    """What I have made, and what it brought."""

    id: UUID
    kind: str
    key: str
    subject: str | None
    text: str | None
    media: list[str]
    at: datetime
    state: State
    note: str | None
    points: dict[str, int]
