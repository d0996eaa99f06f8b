"""The rule tree: one frozen model per kind of node, and its JSON form."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from perennial.common.rules.criteria import (
    ONE_OPERATOR,
    Amount,
    Bounds,
    Bucket,
    Condition,
    Node,
    Property,
    Unset,
    When,
    exactly_one,
)
from perennial.common.rules.literals import Name, Path, Window


def _whole(count: Bounds) -> Bounds:
    if any(getattr(count, name) % 1 or getattr(count, name) < 0 for name in count.chosen()):
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


class OnEvent(Node):
    """A measure over the occurrences of one event; it happened at least once where none is given."""

    event: Name
    where: tuple[Property, ...] = Field(default=(), max_length=20)
    within: Window | Unset = None
    count: Annotated[Bounds, AfterValidator(_whole)] | Unset = None
    sum: Amount | Unset = None
    average: Amount | Unset = None
    min: Amount | Unset = None
    max: Amount | Unset = None
    first: When | Unset = None
    last: When | Unset = None

    @property
    def measure(self) -> tuple[str, Bounds | Amount | When]:
        """The measure's name and what it must satisfy."""
        for name in self.chosen("event", "where", "within"):
            return name, getattr(self, name)
        return "count", AT_LEAST_ONCE

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (chosen := self.chosen("event", "where", "within")) and len(chosen) > 1:
            exactly_one(chosen, "measure")
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
KINDS = ("all", "any", "not", "trait", "event", "segment", "random", "everyone")


def _kind(data: object) -> str | None:
    if isinstance(data, Mapping):
        return next((f"<{kind}>" for kind in KINDS if kind in data), None)
    fields = type(data).model_fields if isinstance(data, Node) else {}
    spelled = {info.alias or name for name, info in fields.items()}
    return next((f"<{kind}>" for kind in KINDS if kind in spelled), None)


Rule = Annotated[
    Annotated[AllOf, Tag("<all>")]
    | Annotated[AnyOf, Tag("<any>")]
    | Annotated[Not, Tag("<not>")]
    | Annotated[OnTrait, Tag("<trait>")]
    | Annotated[OnEvent, Tag("<event>")]
    | Annotated[InSegment, Tag("<segment>")]
    | Annotated[InBucket, Tag("<random>")]
    | Annotated[Everyone, Tag("<everyone>")],
    Discriminator(_kind),
]
for _node in (AllOf, AnyOf, Not):
    _node.model_rebuild()
