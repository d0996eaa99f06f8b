"""What a plan says: what it costs, for how long it holds, how it ends."""

from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from perennial.common.web.fields import Whole
from perennial.loyalty.dates import add_months
from perennial.loyalty.fields import Code, Name, Storable
from perennial.loyalty.tiers.benefits import Given

LONGEST = timedelta(days=36_525)
LAST_YEAR = 9800
"""What is said to happen later than that is left out: there is no calendar for what follows."""
MONTHS = {"M": 1, "Y": 12}
Sku = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), Storable]
PERIOD = r"^P([1-9]|[1-9][0-9])[DWM]$|^P([1-9]|10)Y$"
Price = Annotated[
    Decimal,
    Field(ge=0, le=10**9, decimal_places=3),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 10**9},
                {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?$"},
            ]
        },
        mode="validation",
    ),
]


class Plan(BaseModel):
    """A membership that is paid for: what it costs in each period, and what it gives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Code
    name: dict[Literal["en", "zh"], Name] = Field(min_length=1)
    skus: list[Sku] = Field(
        default_factory=list, max_length=20, description="Products whose order is a payment for it, by sku or id."
    )
    price: Price
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")
    period: str = Field(pattern=PERIOD, description="ISO 8601: so many days, weeks, months or years, such as P1M.")
    trial: str | None = Field(default=None, pattern=PERIOD, description="Once per customer; null: there is none.")
    grace_days: Whole = Field(default=0, ge=0, le=90, description="It goes on so long for who has not paid again.")
    refund: Literal["pro_rata", "none"] = Field(
        default="pro_rata", description="What is due to who ends it at once: the days that are left, or nothing."
    )
    benefits: list[Given] = Field(default_factory=list, max_length=20)
    shipping_worth: Price = Field(
        default=Decimal(0), description="What a member saves by an order whose shipping is 0, where it does not say."
    )
    offered: bool = Field(default=True, strict=True, description="Whether customers are shown it.")


def later(at: datetime, period: str, times: int, zone: tzinfo) -> datetime:
    """So many periods later by the clocks of the zone; of months that are too short, the last day."""
    local, count, unit = at.astimezone(zone), int(period[1:-1]) * times, period[-1]
    if unit in MONTHS:
        moved = add_months(local, min(count * MONTHS[unit], 1200))
    else:
        moved = local + min(timedelta(days=count * (7 if unit == "W" else 1)), LONGEST)
    return moved.astimezone(at.tzinfo)
