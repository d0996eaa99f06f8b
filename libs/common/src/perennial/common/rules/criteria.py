"""What leaves compare with: one operator for a value or a time, bounds for a number."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from perennial.common.rules.literals import MomentField, Name, Number, Path, ScalarField, Scalars, Window, Word

Unset = SkipJsonSchema[None]
ONE_OPERATOR: JsonDict = {"minProperties": 2, "maxProperties": 2}


class Node(BaseModel):
    """Frozen, and strict about unknown members."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    def chosen(self, *besides: str) -> list[str]:
        """The optional members given, in their JSON spelling."""
        given = ((name, info) for name, info in type(self).model_fields.items() if name not in besides)
        return [info.alias or name for name, info in given if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        if missing := [name for name in self.model_fields_set if getattr(self, name) is None]:
            raise ValueError(f"{missing[0].rstrip('_')} must not be null")
        return self


def exactly_one(chosen: list[str], of: str) -> None:
    if len(chosen) != 1:
        found = f", found {' and '.join(chosen)}" if chosen else ""
        raise ValueError(f"must have exactly one {of}{found}")


class Condition(Node):
    """One operator and its operand, for a trait's or a property's value."""

    is_: ScalarField | Unset = Field(default=None, alias="is")
    is_not: ScalarField | Unset = None
    in_: Scalars | Unset = Field(default=None, alias="in")
    not_in: Scalars | Unset = None
    contains: ScalarField | Unset = None
    not_contains: ScalarField | Unset = None
    starts_with: Word | Unset = None
    ends_with: Word | Unset = None
    matches: Word | Unset = Field(default=None, description="A whole text; * is any run of characters, ? is one.")
    exists: StrictBool | Unset = None
    gt: Number | Unset = None
    gte: Number | Unset = None
    lt: Number | Unset = None
    lte: Number | Unset = None
    before: MomentField | Unset = None
    after: MomentField | Unset = None
    within_last: Window | Unset = None
    within_next: Window | Unset = None

    @property
    def operator(self) -> str:
        """The operator in its JSON spelling, such as `is_not`."""
        return self.chosen("trait", "property")[0]

    @property
    def operand(self) -> object:
        """What the operator compares with."""
        name = self.operator
        return getattr(self, f"{name}_" if name in {"is", "in"} else name)

    @model_validator(mode="after")
    def _one_operator(self) -> Self:
        exactly_one(self.chosen("trait", "property"), "operator")
        return self


class Property(Condition):
    """A condition on a property of an event."""

    model_config = ConfigDict(json_schema_extra=ONE_OPERATOR)
    property: Path


class Bounds(Node):
    """Comparisons that must all hold."""

    eq: Number | Unset = None
    gt: Number | Unset = None
    gte: Number | Unset = None
    lt: Number | Unset = None
    lte: Number | Unset = None

    @model_validator(mode="after")
    def _at_least_one(self) -> Self:
        if not self.chosen("property", "salt"):
            raise ValueError("must have at least one of eq, gt, gte, lt, lte")
        return self


class Amount(Bounds):
    """Bounds for what a property adds up to."""

    property: Path


class Bucket(Bounds):
    """Bounds for a stable random number from 0 to 99."""

    salt: Name


class When(Node):
    """One bound for a time."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})
    before: MomentField | Unset = None
    after: MomentField | Unset = None
    within_last: Window | Unset = None

    @property
    def operator(self) -> str:
        """`before`, `after` or `within_last`."""
        return self.chosen()[0]

    @property
    def operand(self) -> object:
        """What the operator compares with."""
        return getattr(self, self.operator)

    @model_validator(mode="after")
    def _one_operator(self) -> Self:
        exactly_one(self.chosen(), "of before, after, within_last")
        return self
