"""HTTP bodies of the tags of customers."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Flag
from perennial.common.web.reasons import Reason
from perennial.profile.params import Instant, Word
from perennial.profile.tags.definitions.schemas import Dimension, Kind, Label

Why = Annotated[Word, Field(max_length=500)]
MOST_CUSTOMERS = 1000


class Giving(BaseModel):
    """Why a customer is given a tag, and until when; without `expires_at` the tag's own `lasts` counts."""

    model_config = ConfigDict(extra="forbid")

    why: Why | None = None
    expires_at: Instant | None = None


class BulkGiving(Giving):
    """A tag for many customers, or taken back from them; `origin` says who says so."""

    customers: list[UUID] = Field(min_length=1, max_length=MOST_CUSTOMERS)
    held: Flag = True
    origin: Literal["manual", "import"] = "manual"


class BulkGiven(BaseModel):
    """How many customers it was noted of, and which ids mean nobody."""

    customers: int
    unknown: list[UUID]


class CustomerTag(BaseModel):
    """A tag that a customer shows: since when, by what rule and version or by whom, and how much it weighs today."""

    key: str
    label: Label
    dimension: Dimension
    kind: Kind
    since: datetime
    by: str = Field(description="`kind:key:version` of what derived it, or the principal who gave it.")
    why: str | None
    expires_at: datetime | None
    score: float | None = Field(description="Of a tag by words: how strongly they speak for it.")
    weight: float = Field(description="By the customer's stage of the life cycle.")
    origin: Literal["preset", "own"] = Field(description="Of the definition.")
    version: int = Field(description="Of the definition, today.")


class CustomerTags(BaseModel):
    """The tags of a customer, the weightiest first."""

    customer_id: UUID
    stage: str | None
    items: list[CustomerTag]


class Heard(BaseModel):
    """A text that speaks for a tag: what it is about and how it sounds; its words are in the timeline."""

    at: datetime
    kind: str
    topics: dict[str, int]
    polarity: float | None
    adds: float = Field(description="To the score, today.")


class TagExplanation(BaseModel):
    """Why a customer shows a tag, or does not. What the kind of the tag has no use for is null."""

    customer_id: UUID
    key: str
    kind: Kind
    shown: bool = Field(description="In the row that lists and rules read; a change comes to it within moments.")
    holds: bool = Field(description="Asked right now.")
    as_of: datetime
    given: dict[str, Any] | None = None
    reason: Reason | None = None
    value: Any = Field(default=None, description="Of a computed tag: the customer's number.")
    cut: str | None = None
    score: float | None = None
    threshold: float | None = None
    heard: list[Heard] = []
    next_change: datetime | None = None
