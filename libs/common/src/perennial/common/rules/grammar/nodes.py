"""The rule tree: one frozen model per kind of node, and its JSON form."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from perennial.common.rules.calendar.windows import Span
from perennial.common.rules.grammar.criteria import (
    ONE_OPERATOR,
    Amount,
    Beside,
    Bounds,
    Bucket,
    Condition,
    Element,
    When,
    Where,
)
from perennial.common.rules.values.literals import Name, Path, Window
from perennial.common.rules.values.shape import Node, Unset, exactly_one

MEASURES = ("count", "distinct", "sum", "average", "min", "max", "first", "last")
RELATIONS = ("followed_by", "not_followed_by", "preceded_by", "not_preceded_by")
MOST_STEPS = 10
TAGS, STAGE = "tags[]", "stage"


Counted = TypeVar("Counted", bound=Bounds)


def _whole(count: Counted) -> Counted:
    if any(getattr(count, name) % 1 or getattr(count, name) < 0 for name in count.chosen("property")):
        raise ValueError("must compare with whole numbers from 0")
    return count


def _true(value: object) -> object:
    if value is not True:
        raise ValueError("must be true")
    return value


class AllOf(Node):
    """Every rule holds."""

    rules: tuple["Rule", ...] = Field(alias="all", min_length=1)


class AnyOf(Node):
    """At least one rule holds."""

    rules: tuple["Rule", ...] = Field(alias="any", min_length=1)


class Not(Node):
    """The rule does not hold."""

    rule: "Rule" = Field(alias="not")


class OnTrait(Condition):
    """A condition on a trait, or on a value inside one (`address.city`)."""

    model_config = ConfigDict(json_schema_extra=ONE_OPERATOR)
    trait: Path

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, data: Any) -> Any:
        """`{"tag": key}` and `{"stage": key}`."""
        if isinstance(data, Mapping):
            for name, path in (("tag", TAGS), ("stage", STAGE)):
                if name in data:
                    return _spelled_out(data, name, path)
        return data


def _spelled_out(data: Mapping[str, Any], name: str, path: str) -> dict[str, object]:
    if not isinstance(data[name], str) or not data[name]:
        raise ValueError(f"{name} must be a key")
    if len(data) > 1:
        raise ValueError(f"{name} must stand alone")
    return {"trait": path, "is": data[name]}


class OnElement(Element):
    """Conditions that one element of a list in a trait satisfies together."""


class OnEvent(Node):
    """A measure over the occurrences of one event; it happened at least once where none is given."""

    event: Name
    where: Where = ()
    within: Span | Unset = None
    followed_by: Beside | Unset = None
    not_followed_by: Beside | Unset = None
    preceded_by: Beside | Unset = None
    not_preceded_by: Beside | Unset = None
    count: Annotated[Bounds, AfterValidator(_whole)] | Unset = None
    distinct: Annotated[Amount, AfterValidator(_whole)] | Unset = None
    sum: Amount | Unset = None
    average: Amount | Unset = None
    min: Amount | Unset = None
    max: Amount | Unset = None
    first: When | Unset = None
    last: When | Unset = None

    @property
    def measure(self) -> tuple[str, Bounds | Amount | When]:
        """The measure's name and what it must satisfy."""
        for name in MEASURES:
            if (wanted := getattr(self, name)) is not None:
                return name, wanted
        return "count", AT_LEAST_ONCE

    @property
    def beside(self) -> list[tuple[str, Beside]]:
        """The other events that must be near, or must not, by the name of the relation."""
        return [(name, other) for name in RELATIONS if (other := getattr(self, name)) is not None]

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if len(chosen := [name for name in MEASURES if getattr(self, name) is not None]) > 1:
            exactly_one(chosen, "measure")
        return self


class Step(Node):
    """One event of a sequence, at most `within` after the one before it."""

    event: Name
    where: Where = ()
    within: Window | Unset = None


class OnSequence(Node):
    """Events one after the other; all of them `within` the window, the last at most `span` after the first."""

    steps: tuple[Step, ...] = Field(alias="sequence", min_length=2, max_length=MOST_STEPS)
    within: Span | Unset = None
    span: Window | Unset = None

    @model_validator(mode="after")
    def _first_follows_nothing(self) -> Self:
        if self.steps[0].within is not None:
            raise ValueError("the first step cannot have within: there is no step before it")
        return self


class InSegment(Node):
    """The customer is a member of a segment."""

    segment: UUID


class InBucket(Node):
    """A stable random share of the customers."""

    bucket: Bucket = Field(alias="random")


class Everyone(Node):
    """Always holds."""

    everyone: Annotated[Literal[True], BeforeValidator(_true)]


AT_LEAST_ONCE = Bounds.model_validate({"gte": 1})
_KINDS = {
    "all": "<all>",
    "any": "<any>",
    "not": "<not>",
    "trait": "<trait>",
    "tag": "<trait>",
    "stage": "<trait>",
    "any_of": "<element>",
    "none_of": "<element>",
    "event": "<event>",
    "sequence": "<sequence>",
    "segment": "<segment>",
    "random": "<random>",
    "everyone": "<everyone>",
}
KINDS = tuple(_KINDS)


def _kind(data: object) -> str | None:
    if isinstance(data, Mapping):
        return next((tag for kind, tag in _KINDS.items() if kind in data), None)
    fields = type(data).model_fields if isinstance(data, Node) else {}
    spelled = {info.alias or name for name, info in fields.items()}
    return next((tag for kind, tag in _KINDS.items() if kind in spelled), None)


Rule = Annotated[
    Annotated[AllOf, Tag("<all>")]
    | Annotated[AnyOf, Tag("<any>")]
    | Annotated[Not, Tag("<not>")]
    | Annotated[OnTrait, Tag("<trait>")]
    | Annotated[OnElement, Tag("<element>")]
    | Annotated[OnEvent, Tag("<event>")]
    | Annotated[OnSequence, Tag("<sequence>")]
    | Annotated[InSegment, Tag("<segment>")]
    | Annotated[InBucket, Tag("<random>")]
    | Annotated[Everyone, Tag("<everyone>")],
    Discriminator(_kind),
]
for _node in (AllOf, AnyOf, Not):
    _node.model_rebuild()
