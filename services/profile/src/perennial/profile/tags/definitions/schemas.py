"""HTTP bodies of tag definitions."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from perennial.common.rules.values.durations import parse_duration
from perennial.common.web.fields import Flag, left_out
from perennial.profile.params import Word

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$", examples=["loyal_buyer"])]
Dimension = Literal["attribute", "behaviour", "need", "value"]
Kind = Literal["manual", "imported", "rule", "computed", "words"]
Medium = Literal["review", "search", "message"]
Short = Annotated[Word, Field(min_length=1, max_length=100)]
Sentence = Annotated[Word, Field(max_length=500)]
Weight = Annotated[float, Field(ge=0, le=100, strict=True)]
TraitName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]


def _duration(value: str) -> str:
    if not parse_duration(value):
        raise ValueError("must be longer than zero")
    return value


Duration = Annotated[Word, Field(max_length=40, examples=["P90D"], description="ISO 8601."), AfterValidator(_duration)]


class Label(BaseModel):
    """A name in English, and in Chinese where there is one."""

    model_config = ConfigDict(extra="forbid")

    en: Short
    zh: Short | None = None


class About(BaseModel):
    """One sentence in English, and in Chinese where there is one."""

    model_config = ConfigDict(extra="forbid")

    en: Sentence = ""
    zh: Sentence | None = None


class WordsBasis(BaseModel):
    """How words become a tag: every text that touches a topic adds the weight of its kind, halved per `half_life`."""

    model_config = ConfigDict(extra="forbid")

    topics: list[Key] = Field(default=[], max_length=50, description="None: whatever it is about.")
    kinds: dict[Medium, Weight] = Field(default={"review": 1.0, "search": 1.0, "message": 1.0}, min_length=1)
    half_life: Duration = "P30D"
    threshold: Annotated[float, Field(gt=0, le=1000, strict=True)] = 0.5
    mood: Literal["positive", "negative"] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.topics and self.mood is None:
            raise ValueError("topics: must name one, or there must be a mood")
        return self


class ComputedBasis(BaseModel):
    """A share of all customers by a number that they show: the highest or the lowest, in percent."""

    model_config = ConfigDict(extra="forbid")

    trait: TraitName
    top: Annotated[float, Field(gt=0, lt=100, strict=True)] | None = None
    bottom: Annotated[float, Field(gt=0, lt=100, strict=True)] | None = None

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.top is None) == (self.bottom is None):
            raise ValueError("must have top or bottom")
        return self


class TagIn(BaseModel):
    """A tag. `rule`, `computed` or `words` is there exactly for the kind of that name."""

    model_config = ConfigDict(extra="forbid")

    key: Key
    label: Label
    about: About = About()
    dimension: Dimension
    kind: Kind
    owner: Sentence | None = None
    lasts: Duration | None = Field(default=None, description="How long a manual or imported tag stays, unless told.")
    rule: dict[str, Any] | None = Field(default=None, description="Of the platform's rule language.")
    computed: ComputedBasis | None = None
    words: WordsBasis | None = None
    weights: dict[Key, Weight] = Field(default={}, max_length=50, description="By stage of the life cycle; else 1.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in ("rule", "computed", "words"):
            if (getattr(self, name) is not None) != (self.kind == name):
                there = "is required for" if self.kind == name else "does not belong to"
                raise ValueError(f"{name}: {there} the kind {self.kind}")
        if self.lasts is not None and self.kind not in {"manual", "imported"}:
            raise ValueError(f"lasts: does not belong to the kind {self.kind}, whose tags last as long as they hold")
        return self


class TagChange(BaseModel):
    """What of a tag is to change (RFC 7396 merge patch); key and kind stay. `active`: false archives it."""

    model_config = ConfigDict(extra="forbid")

    label: Label = left_out()
    about: About = left_out()
    dimension: Dimension = left_out()
    owner: Sentence | None = None
    lasts: Duration | None = None
    rule: dict[str, Any] = left_out()
    computed: ComputedBasis = left_out()
    words: WordsBasis = left_out()
    weights: dict[Key, Weight] = left_out()
    active: Flag = left_out()


class TagOut(BaseModel):
    """A tag. `origin` says whether it came with the platform; `edited`, that the shop has changed it since."""

    key: str
    label: Label
    about: About
    dimension: Dimension
    kind: Kind
    owner: str | None
    lasts: str | None
    rule: dict[str, Any] | None = None
    sentence: str | None = Field(default=None, description="The rule in words.")
    computed: ComputedBasis | None = None
    words: WordsBasis | None = None
    weights: dict[str, float]
    origin: Literal["preset", "own"]
    edited: bool
    active: bool
    version: int
    cut: str | None = Field(
        description="Of a computed tag: the number from which on it is shown, once it is known; for who sees the trait."
    )
    created_at: datetime
    updated_at: datetime


class TagVersion(BaseModel):
    """A version of a definition: what it said, who made it so."""

    version: int
    by: str
    at: datetime
    document: dict[str, Any]


class TagCount(BaseModel):
    """How many customers show a tag."""

    key: str
    label: Label
    dimension: Dimension
    kind: Kind
    customers: int


class TagsSummary(BaseModel):
    """The active tags with their numbers, the most frequent first."""

    as_of: datetime | None = Field(description="When it was counted; every few minutes it is.")
    items: list[TagCount]
