"""HTTP bodies of trait definitions."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from perennial.common.masks import Sensitivity, class_of
from perennial.common.rules import trait_key
from perennial.common.web.fields import Flag, Whole
from perennial.profile.traits.definitions.kinds import LONGEST_TEXT, MOST_ITEMS, Strategy, bound, compiled
from perennial.profile.traits.definitions.schema import STRICTNESS, read

Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Type = Literal["string", "number", "boolean", "date", "datetime", "enum", "list", "object", "money", "geo"]
Item = Literal["string", "number", "boolean", "date", "datetime", "object"]
FITTING: dict[str, frozenset[str]] = {
    "min": frozenset({"number", "money", "date", "datetime"}),
    "max": frozenset({"number", "money", "date", "datetime"}),
    "sum": frozenset({"number", "money"}),
    "union": frozenset({"list"}),
    "longest": frozenset({"string"}),
}
RESERVED = frozenset({"proposed", "refused", "form", ".", ".."})  # words of routes
BOUNDED = frozenset({"number", "money", "date", "datetime"})
LIMITS: dict[str, frozenset[str]] = {
    "pattern": frozenset({"string"}),
    "min_length": frozenset({"string"}),
    "max_length": frozenset({"string"}),
    "minimum": BOUNDED,
    "maximum": BOUNDED,
    "whole": frozenset({"number"}),
    "values": frozenset({"enum"}),
    "items": frozenset({"list"}),
    "max_items": frozenset({"list"}),
    "currency": frozenset({"money"}),
}


def _one_spelling(key: str) -> str:
    if key != trait_key(key) or "$" in key:
        msg = f"must be in its one spelling, {trait_key(key)!r}"
        raise ValueError(msg)
    return key


def _no_word_of_a_route(key: str) -> str:
    if key in RESERVED:
        msg = "must not be a word of a route"
        raise ValueError(msg)
    return key


def _pattern(pattern: str) -> str:
    compiled(pattern)
    return pattern


Key = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00\s$/]+$"),
    AfterValidator(_one_spelling),
    AfterValidator(_no_word_of_a_route),
    Field(examples=["favourite_colour"]),
]


class Label(BaseModel):
    """What a form calls it."""

    model_config = ConfigDict(extra="forbid")

    en: Text
    zh: Text | None = None


class Choice(BaseModel):
    """One of the values of an enum."""

    model_config = ConfigDict(extra="forbid")

    value: Text
    label: Label | None = None


class TraitChange(BaseModel):
    """A trait: what it is called, what it takes, who may see it, and which of several values is shown."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    description: Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")] = ""
    type: Type = "string"
    required: Flag = Field(default=False, description="It cannot be cleared by hand; events may.")
    pattern: Annotated[Text, AfterValidator(_pattern)] | None = Field(
        default=None, description="RE2 syntax, against the whole text."
    )
    min_length: Annotated[Whole, Field(ge=0, le=LONGEST_TEXT)] | None = None
    max_length: Annotated[Whole, Field(ge=1, le=LONGEST_TEXT)] | None = None
    minimum: Text | None = Field(default=None, description="A number as text, a date or a time.", examples=["0"])
    maximum: Text | None = None
    whole: Flag = Field(default=False, description="Without a fraction.")
    values: list[Choice] | None = Field(default=None, min_length=1, max_length=500, description="Of an enum.")
    items: Item | None = Field(default=None, description="The type of a list's members.")
    max_items: Annotated[Whole, Field(ge=1, le=MOST_ITEMS)] | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None, description="Of money that names none."
    )
    sensitivity: Sensitivity | None = Field(
        default=None, description="Who sees it in clear; null: as its name says. What is sensitive is stored sealed."
    )
    sensitivity_lowered: Flag = Field(
        default=False, description="Say so where the class is less strict than what the name says."
    )
    sources: list[Text] = Field(
        default_factory=list, max_length=100,
        description="Trusted before time, the most trusted first; `manual` is what staff wrote. Others come after.",
    )  # fmt: skip
    strategy: Strategy = Field(default="latest", description="Which of several values is shown.")
    group: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = Field(
        default="other", description="Where a form has it."
    )
    order: Annotated[Whole, Field(ge=0, le=10_000)] = 1000

    @model_validator(mode="after")
    def _whole_fits(self) -> Self:
        for name, types in LIMITS.items():
            if getattr(self, name) not in (None, False) and self.type not in types:
                raise ValueError(f"{name}: only {', '.join(sorted(types))} have it, not {self.type}")
        if self.type not in FITTING.get(self.strategy, frozenset({self.type})):
            raise ValueError(f"strategy: {self.strategy} is for {', '.join(sorted(FITTING[self.strategy]))}")
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("sources: each once")
        self._ranges()
        self._choices()
        return self

    def _ranges(self) -> None:
        bounds = [_bound(self.type, name, getattr(self, name)) for name in ("minimum", "maximum")]
        for least, most in ((bounds[0], bounds[1]), (self.min_length, self.max_length)):
            if least is not None and most is not None and least > most:
                raise ValueError("minimum: must not be greater than the maximum")

    def _choices(self) -> None:
        if self.type != "enum":
            return
        said = [choice.value.strip().lower() for choice in self.values or ()]
        if not said or len(set(said)) < len(said):
            raise ValueError("values: an enum has some, each once in any case")


def _bound(kind: str, name: str, said: str | None) -> Any:
    if said is None:
        return None
    try:
        return bound(kind, said)
    except ValueError as error:
        raise ValueError(f"{name}: not a {kind}") from error


class TraitDefined(TraitChange):
    """A trait by its key; those of long ago may have one that stands in no path."""

    key: Annotated[str, AfterValidator(_one_spelling)]

    @model_validator(mode="after")
    def _class_fits(self) -> Self:
        known, wanted = class_of(self.key), self.sensitivity
        if wanted and STRICTNESS.index(wanted) < STRICTNESS.index(known) and not self.sensitivity_lowered:
            raise ValueError(f"sensitivity: {self.key} is {known} by its name; set sensitivity_lowered to say {wanted}")
        kept = read(self.model_dump())
        if kept.sensitivity == "sensitive" and self.strategy in FITTING:
            raise ValueError(f"strategy: sealed values cannot be compared, so a sensitive trait is not {self.strategy}")
        return self


class NewTrait(TraitDefined):
    """A trait that is defined from now on."""

    key: Key


class TraitShown(BaseModel):
    """A trait of the shop, one that is built in, or one that was seen and that nobody has defined."""

    key: str
    state: Literal["active", "archived", "preset", "proposed"]
    version: int = Field(description="0 for what is built in or proposed.")
    definition: TraitDefined | None = Field(description="Null for a proposed one.")
    sensitivity: Sensitivity = Field(description="What counts: the stricter of the name's and the definition's.")
    applied: bool = Field(description="False while what is stored is being brought in line with the definition.")
    updated_at: datetime | None = None
    updated_by: str | None = None


class Guess(BaseModel):
    """A trait that was seen and that nobody has defined."""

    key: str
    type: Type = Field(description="What most of its values look like.")
    sensitivity: Sensitivity
    sources: list[str]
    count: int = Field(description="How often it was said.")
    first_at: datetime
    last_at: datetime


class Refused(BaseModel):
    """Values that a trait's definition did not take, from one source and for one reason."""

    key: str
    source: str
    reason: str = Field(description="type, length, pattern, range, not_listed, not_whole, currency or unreadable.")
    count: int
    first_at: datetime
    last_at: datetime
    examples: list[str] = Field(description="What they look like: every digit is a 9, every letter an a.")
