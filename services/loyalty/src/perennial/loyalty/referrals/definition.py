"""What the programme says of referrals: what counts, for how long, and what both get."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Whole
from perennial.loyalty.fields import Code
from perennial.loyalty.memberships.definition import Price

Guard = Literal["device", "phone", "address", "payment", "velocity"]
GUARDS: list[Guard] = ["device", "phone", "address", "payment", "velocity"]


class Given(BaseModel):
    """What one side gets; 0 is nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: Whole = Field(ge=0, le=10**9)
    currency: Code | None = Field(default=None, description="Null: the main one of the programme.")


class Velocity(BaseModel):
    """More friends than that in so many days are held for review."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: Whole = Field(default=10, ge=1, le=10_000)
    days: Whole = Field(default=7, ge=1, le=365)


class Referral(BaseModel):
    """The first order of a friend who came by a customer's code rewards both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    link: str = Field(
        min_length=1, max_length=500, pattern=r"^https?://[^\s{}]+\{code\}[^\s{}]*$",
        description="The link that customers share; `{code}` stands for the code.",
    )  # fmt: skip
    window_days: Whole = Field(default=30, ge=1, le=365, description="The order must follow the touch within them.")
    touch: Literal["first", "last"] = Field(default="last", description="Whose code it is, when there were several.")
    minimum: Price = Field(default=Decimal(0), description="What the order must be worth at least.")
    hold_days: Whole = Field(default=14, ge=0, le=365, description="The return window: both wait until it is over.")
    referrer: Given
    friend: Given
    guards: list[Guard] = Field(default=GUARDS, max_length=5, description="What is held for review.")
    velocity: Velocity = Velocity()


SplitPolicy = Annotated[
    Literal["debt", "waive", "review"],
    Field(description="When a split leaves a side in debt to the other: it is owed, given, or for staff to decide."),
]
