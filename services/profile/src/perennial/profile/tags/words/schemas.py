"""HTTP bodies of topics."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from perennial.profile.params import Word
from perennial.profile.tags.definitions.schemas import Label

Term = Annotated[Word, Field(min_length=1, max_length=60)]


class Terms(BaseModel):
    """The words of a topic: English ones also in the plural, and in groups (`free shipping`); Chinese ones whole."""

    model_config = ConfigDict(extra="forbid")

    en: list[Term] = Field(default=[], max_length=500)
    zh: list[Term] = Field(default=[], max_length=500)


class TopicIn(BaseModel):
    """A topic that tags by words may name."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    terms: Terms


class TopicOut(TopicIn):
    """A topic. `origin` says whether it came with the platform; `edited`, that the shop has changed it since."""

    key: str
    origin: Literal["preset", "own"]
    edited: bool
    version: int
    updated_at: datetime
