"""What a programme says of earning: the rules, what bounds them, and which of several holds."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from perennial.common import rules
from perennial.common.commerce import ORDER_COMPLETED, ORDER_DELIVERED, ORDER_EVENTS, canonical
from perennial.common.web.fields import Flag, Whole
from perennial.loyalty.earning.checkin.queries import CHECK_IN
from perennial.loyalty.fields import Code, Factor, Name, Rate

MOST = 10**12
Per = Literal["event", "day", "week", "month", "year", "ever"]


def _about_the_event(condition: dict[str, Any] | None) -> dict[str, Any] | None:
    if condition is None:
        return None
    reads = rules.footprint(rules.parse(condition))
    if reads.events or reads.segments:
        raise ValueError("may ask about the event alone: its properties are the traits, such as products[].category")
    return condition


def _plain_event(name: str) -> str:
    found = canonical(name)
    if found in {*ORDER_EVENTS, ORDER_DELIVERED} - {ORDER_COMPLETED}:
        raise ValueError(f"is accounted for with {ORDER_COMPLETED}")
    if found == CHECK_IN:
        raise ValueError(f"{CHECK_IN} is no event that anybody sends: see check_in")
    return found


Condition = Annotated[
    dict[str, Any],
    AfterValidator(_about_the_event),
    Field(
        description="A rule in the platform's rule language, whose traits are the properties of the event, and besides "
        "these: `$amount`, `$source`, `$tier`, `$day` (YYYY-MM-DD), `$weekday` (mon to sun) and `$hour` in the "
        "programme's time zone, `$birthday` and `$birthday_month` (true or false), `$birthday_days` (to the nearest)."
    ),
]
EventName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$"), AfterValidator(_plain_event)]
Property = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]


class Boost(BaseModel):
    """A factor under a condition: double points on a weekend, three times as many on a birthday."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    condition: Condition
    factor: Factor


class Cap(BaseModel):
    """What one customer has of a rule at most, in points or in times; days are those of the programme's time zone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: Whole | None = Field(default=None, ge=0, le=MOST)
    times: Whole | None = Field(default=None, ge=1, le=1_000_000)
    per: Per = "day"
    each: Flag = Field(default=False, description="Counted for each subject of the rule by itself.")

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.points is None) == (self.times is None):
            raise ValueError("one of points and times is needed")
        if self.per == "event" and self.times is not None:
            raise ValueError("times: an event counts once")
        return self


class CurrencyCap(BaseModel):
    """What one customer earns of a currency at most, by all rules together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: Code | None = Field(default=None, description="Null: the first of the programme.")
    points: Whole = Field(ge=0, le=MOST)
    per: Per = "day"


class EarnRule(BaseModel):
    """Points for each unit of an event's currency; an event earns by every rule whose condition holds.

    Of the rules of a group in one currency only one counts: of those that give anything the one of the highest
    priority, among equals the one that gives most, then the first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    event: EventName = ORDER_COMPLETED
    currency: Code | None = Field(default=None, description="Null: the first of the programme.")
    points_per_unit: Rate = Decimal(1)
    per: Literal["unit", "item", "event"] = Field(
        default="unit", description="Of the amount's currency; or for each item; or for the event as a whole."
    )
    rounding: Literal["floor", "half_up", "ceiling"] = "floor"
    condition: Condition | None = None
    lines: Condition | None = Field(
        default=None,
        description="Only these products count, by price and quantity; `traits` are the members of one product. "
        "An order that was paid with a discount counts them at the same discount.",
    )
    first_order: Flag = Field(default=False, description="Only the customer's first order, and only once.")
    multipliers: dict[Name, Factor] = Field(
        default_factory=dict, max_length=20, description="By tier: the customer's when the event was counted."
    )
    boosts: list[Boost] = Field(default_factory=list, max_length=5)
    boosting: Literal["multiply", "best"] = Field(
        default="multiply", description="Whether all boosts that hold are multiplied, or the greatest counts."
    )
    group: Name | None = None
    priority: Whole = Field(default=0, ge=0, le=1000)
    caps: list[Cap] = Field(default_factory=list, max_length=5)
    subject: Property | None = Field(
        default=None, description="The property that says what it is about, such as product_id; see `caps.each`."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.first_order and self.event != ORDER_COMPLETED:
            raise ValueError(f"first_order: has a meaning for {ORDER_COMPLETED} alone")
        if self.subject is None and any(cap.each for cap in self.caps):
            raise ValueError("caps: each needs a subject")
        names = [boost.name for boost in self.boosts]
        if len(set(names)) < len(names):
            raise ValueError("boosts: names must be unique")
        return self

    @property
    def capped(self) -> bool:
        """Whether what it gives depends on what it gave."""
        return bool(self.caps) or self.first_order
