"""What a programme says: earn rules, tiers, expiry. The same on the wire and in its table."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from perennial.common import rules
from perennial.common.commerce import ORDER_COMPLETED
from perennial.common.web.fields import Whole
from perennial.loyalty.programme.expiry import Expiry

POINTS = "points"
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]


def _decimal(most: int, pattern: str) -> WithJsonSchema:
    options = [{"type": "number", "minimum": 0, "maximum": most}, {"type": "string", "pattern": pattern}]
    return WithJsonSchema({"anyOf": options}, mode="validation")


Rate = Annotated[
    Decimal, Field(ge=0, le=10_000, decimal_places=6), _decimal(10_000, r"^([0-9]{1,4}(\.[0-9]{1,6})?|10000)$")
]
Factor = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4), _decimal(100, r"^([0-9]{1,2}(\.[0-9]{1,4})?|100)$")]


def _about_the_order(condition: dict[str, Any] | None) -> dict[str, Any] | None:
    if condition is None:
        return None
    reads = rules.footprint(rules.parse(condition))
    if reads.events or reads.segments:
        raise ValueError("may ask about the order alone: its properties are the traits, such as products[].category")
    return condition


Condition = Annotated[
    dict[str, Any],
    AfterValidator(_about_the_order),
    Field(description="A rule in the platform's rule language, whose traits are the properties of the order."),
]


class Currency(BaseModel):
    """What customers collect; whole units, for stored credit the smallest of its money."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Code = POINTS
    label: dict[Literal["en", "zh"], Name] = Field(default_factory=dict)
    kind: Literal["points", "growth", "credit"] = Field(
        default="points", description="Growth value counts towards tiers and is never spent."
    )
    pending_days: Whole = Field(default=0, ge=0, le=365, description="How long it waits before it can be spent.")
    expiry: Expiry = Expiry()
    refund_policy: Literal["unlimited"] = Field(
        default="unlimited", description="A refund takes back all that the order earned, below zero if it was spent."
    )

    @property
    def slides(self) -> bool:
        """Whether what the customer does puts off the expiry."""
        return self.expiry.kind == "sliding"


class EarnRule(BaseModel):
    """Points for each unit of an order's currency; an order earns by every rule whose condition holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    event: Literal["Order Completed"] = ORDER_COMPLETED  # type: ignore[assignment]
    currency: Code | None = Field(default=None, description="Null: the first of the programme.")
    points_per_unit: Rate = Decimal(1)
    rounding: Literal["floor"] = "floor"
    condition: Condition | None = None
    multipliers: dict[Name, Factor] = Field(
        default_factory=dict, max_length=20, description="By tier: the customer's when the order was counted."
    )


class TierRule(BaseModel):
    """A tier and the points within the window that it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    threshold: Whole = Field(ge=0, le=10**12)


class Definition(BaseModel):
    """What a version of the programme says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currencies: list[Currency] = Field(
        default_factory=lambda: [Currency()], min_length=1, max_length=10, description="The first is the main one."
    )
    earn_rules: list[EarnRule] = Field(max_length=20)
    tiers: list[TierRule] = Field(min_length=1, max_length=20, description="Ascending; the first from 0 points.")
    tier_window_days: Whole = Field(default=365, ge=1, le=3660)
    expiry_notices: list[Annotated[Whole, Field(ge=1, le=365)]] = Field(
        default=[30, 7], max_length=10, description="So many days before points expire it is said."
    )
    tier_currency: Code | None = Field(default=None, description="What tiers rest on; null: the first currency.")

    @model_validator(mode="after")
    def _tiers_ascend(self) -> Self:
        thresholds = [tier.threshold for tier in self.tiers]
        if thresholds[0] != 0 or thresholds != sorted(set(thresholds)):
            raise ValueError("tiers: thresholds must ascend from 0")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        tiers = [tier.name for tier in self.tiers]
        earners = [rule.name for rule in self.earn_rules]
        codes = [currency.code for currency in self.currencies]
        for field, names in (("tiers", tiers), ("earn_rules", earners), ("currencies", codes)):
            if len(set(names)) < len(names):
                raise ValueError(f"{field}: names must be unique")
        unknown = {name for rule in self.earn_rules for name in rule.multipliers} - set(tiers)
        if unknown:
            raise ValueError(f"earn_rules: multipliers name unknown tiers: {', '.join(sorted(unknown))}")
        return self

    @model_validator(mode="after")
    def _currencies_are_known(self) -> Self:
        codes = {currency.code for currency in self.currencies}
        for rule in self.earn_rules:
            if rule.currency is not None and rule.currency not in codes:
                raise ValueError(f"earn_rules: {rule.name} earns an unknown currency: {rule.currency}")
        if self.tier_currency is not None and self.tier_currency not in codes:
            raise ValueError(f"tier_currency: there is no currency {self.tier_currency}")
        return self

    @property
    def main(self) -> Currency:
        """The currency meant where none is named."""
        return self.currencies[0]

    def currency(self, code: str) -> Currency:
        """The currency of that code; one that this version does not know yet is like the main one."""
        return next((currency for currency in self.currencies if currency.code == code), self.main)

    @property
    def tiers_rest_on(self) -> str:
        """The code of the currency that counts towards tiers."""
        return self.tier_currency or self.main.code


class Programme(Definition):
    """A version of the programme."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    valid_from: datetime | None = Field(description="Orders from then on earn by it; null: from the beginning.")
