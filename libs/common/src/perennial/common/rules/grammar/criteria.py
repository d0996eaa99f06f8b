"""What leaves compare with: one operator for a value or a time, bounds for a number, conditions on one element."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    Tag,
    model_validator,
)
from pydantic.config import JsonDict

from perennial.common.rules.calendar.birthdays import MOST_DAYS
from perennial.common.rules.calendar.windows import CalendarField
from perennial.common.rules.values.literals import (
    MomentField,
    Name,
    Number,
    Path,
    PatternField,
    RangeField,
    ScalarField,
    Scalars,
    Window,
    Word,
)
from perennial.common.rules.values.places import AroundField
from perennial.common.rules.values.shape import Node, Unset, exactly_one

ONE_OPERATOR: JsonDict = {"minProperties": 2, "maxProperties": 2}
MOST_CONDITIONS = 20


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
    regex: PatternField | Unset = None
    exists: StrictBool | Unset = None
    gt: Number | Unset = None
    gte: Number | Unset = None
    lt: Number | Unset = None
    lte: Number | Unset = None
    between: RangeField | Unset = None
    before: MomentField | Unset = None
    after: MomentField | Unset = None
    within_last: Window | Unset = None
    within_next: Window | Unset = None
    within: CalendarField | Unset = None
    birthday_within: Annotated[StrictInt, Field(ge=0, le=MOST_DAYS), PlainSerializer(lambda days: days)] | Unset = None
    near: AroundField | Unset = None

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


class Element(Node):
    """Conditions that one element of a list satisfies together; with `none_of` no element does."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2, "maxProperties": 2})
    any_of: Path | Unset = None
    none_of: Path | Unset = None
    where: tuple[Property, ...] = Field(min_length=1, max_length=MOST_CONDITIONS)

    @property
    def property(self) -> str:
        """The path of the elements."""
        path = self.any_of or self.none_of or ""
        return path if path.endswith("[]") else f"{path}[]"

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        exactly_one(self.chosen("where"), "of any_of, none_of")
        return self


def _kind_of_where(item: object) -> str:
    listed = isinstance(item, Element) or (isinstance(item, Mapping) and ("any_of" in item or "none_of" in item))
    return "<element>" if listed else "<property>"


Wanted = Annotated[
    Annotated[Property, Tag("<property>")] | Annotated[Element, Tag("<element>")], Discriminator(_kind_of_where)
]
Where = Annotated[tuple[Wanted, ...], Field(max_length=MOST_CONDITIONS)]


class Beside(Node):
    """Another event of the same customer, within a duration."""

    event: Name
    where: Where = ()
    within: Window


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
    within: CalendarField | Unset = None

    @property
    def operator(self) -> str:
        """`before`, `after`, `within_last` or `within`."""
        return self.chosen()[0]

    @property
    def operand(self) -> object:
        """What the operator compares with."""
        return getattr(self, self.operator)

    @model_validator(mode="after")
    def _one_operator(self) -> Self:
        exactly_one(self.chosen(), "of before, after, within_last, within")
        return self
