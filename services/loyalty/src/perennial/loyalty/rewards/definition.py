"""What a reward is: the same on the wire and for who offers it."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from perennial.common.web.fields import Flag, Instant, Whole
from perennial.loyalty.fields import Code, Name, Storable

MOST = 10**12

Kind = Literal["goods", "coupon", "service", "credit", "voucher"]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), Storable]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), Storable]
Amount = Annotated[
    Decimal,
    Field(gt=0, le=10**9, decimal_places=3),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 10**9},
                {"type": "string", "pattern": r"^(?=.*[1-9])[0-9]{1,9}(\.[0-9]{1,3})?$"},
            ]
        },
        mode="validation",
    ),
]


class Money(BaseModel):
    """What is paid besides the points, outside; whoever took it confirms with the payment's reference."""

    model_config = ConfigDict(extra="forbid")

    amount: Amount
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")]


class Credit(BaseModel):
    """The stored credit that a reward brings, in the smallest unit of its money."""

    model_config = ConfigDict(extra="forbid")

    currency: Code
    points: Whole = Field(ge=1, le=MOST)


class Limit(BaseModel):
    """How many one person may have in a calendar day or month of the deployment's zone, or ever."""

    model_config = ConfigDict(extra="forbid")

    count: Whole = Field(ge=0, le=10**6)
    per: Literal["day", "month", "ever"]
    tier: Name | None = Field(default=None, description="Holds for customers of this tier alone; null: for everybody.")


class Offer(BaseModel):
    """What is offered. `points` of `currency` and `money` are both the price."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    state: Literal["active", "hidden", "archived"] = Field(
        default="active", description="Hidden: staff redeem it for customers, who do not see it. Archived: nobody does."
    )
    name: dict[Literal["en", "zh"], Title] = Field(min_length=1)
    description: dict[Literal["en", "zh"], Prose] = Field(default_factory=dict)
    points: Whole = Field(ge=0, le=MOST)
    currency: Code | None = Field(default=None, description="Null: the main one of the programme.")
    money: Money | None = None
    credit: Credit | None = Field(default=None, description="What a reward of the kind credit brings.")
    stock: Whole | None = Field(
        default=None, ge=0, le=MOST, description="How many there are in all, those taken included; null: no end of it."
    )
    codes: Flag = Field(default=False, description="Each redemption takes a code of the pool; none left is sold out.")
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    limits: list[Limit] = Field(default_factory=list, max_length=20)
    tiers: list[Name] = Field(default_factory=list, max_length=20, description="Who may have it; empty: everybody.")
    hold_minutes: Whole = Field(default=15, ge=1, le=10_080, description="How long a reservation waits.")
    instant: Flag = Field(default=False, description="Fulfilled as soon as it is confirmed: of codes and credit.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if (self.credit is not None) != (self.kind == "credit"):
            raise ValueError("credit: belongs to the kind credit, and to no other")
        if self.codes and self.kind not in {"coupon", "voucher"}:
            raise ValueError("codes: belong to the kinds coupon and voucher")
        if self.instant and not self.codes and self.credit is None:
            raise ValueError("instant: only codes and credit can be handed over by themselves")
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            raise ValueError("ends_at: must come after starts_at")
        return self
