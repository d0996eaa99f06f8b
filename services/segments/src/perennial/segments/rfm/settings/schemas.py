"""HTTP bodies of the settings, and what is stored of them."""

from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer

from perennial.common.web.fields import Whole

MOST_CURRENCIES, MOST_DAYS = 20, 3650
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Amount = Annotated[
    Decimal, Field(ge=-(10**12), le=10**12, max_digits=15, decimal_places=2, description="In units of the currency.")
]
Days = Annotated[Whole, Field(ge=0, le=MOST_DAYS)]
Orders = Annotated[Whole, Field(ge=1, le=1_000_000)]


def _rising(values: list[Any]) -> list[Any]:
    if any(one >= other for one, other in pairwise(values)):
        raise ValueError("must rise from each to the next")
    return values


def _falling(values: list[Any]) -> list[Any]:
    _rising(values[::-1])
    return values


class Bands(BaseModel):
    """Fixed bands of one currency: what it takes to score 2, 3, 4 and 5."""

    model_config = ConfigDict(extra="forbid")

    recency_days: Annotated[list[Days], Field(min_length=4, max_length=4), AfterValidator(_falling)] = Field(
        description="At most so many calendar days since the last order, in the deployment's zone; falling.",
        examples=[[365, 180, 90, 30]],
    )
    frequency: Annotated[list[Orders], Field(min_length=4, max_length=4), AfterValidator(_rising)] = Field(
        description="At least so many orders; rising.", examples=[[2, 3, 5, 10]]
    )
    monetary: Annotated[list[Amount], Field(min_length=4, max_length=4), AfterValidator(_rising)] = Field(
        description="At least so much money, net of refunds; rising.",
        examples=[["50.00", "150.00", "400.00", "1000.00"]],
    )

    @field_serializer("monetary")
    def _written(self, amounts: list[Decimal]) -> list[str]:
        return [f"{amount:.2f}" for amount in amounts]


class SettingsIn(BaseModel):
    """How RFM is computed. A currency without fixed bands is scored by quantiles: 1 + floor(5 · strictly worse / n)."""

    model_config = ConfigDict(extra="forbid")

    bands: dict[Currency, Bands] = Field(default={}, max_length=MOST_CURRENCIES)
    high_from: Annotated[Whole, Field(ge=2, le=5)] | None = Field(
        default=None,
        description="The least score that counts as high in the eight classes; null: any above the average score.",
    )
    high_value: dict[Currency, Amount] = Field(
        default={}, max_length=MOST_CURRENCIES,
        description="The least monetary value of the high-value quadrants; a currency without one takes the average.",
    )  # fmt: skip
    active_days: Annotated[Whole, Field(ge=1, le=MOST_DAYS)] = Field(
        default=90, description="A customer is active with an order within so many calendar days."
    )
    keep_runs: Annotated[Whole, Field(ge=1, le=100)] = Field(
        default=14, description="Runs kept as history: the last of each day, and those that were asked for."
    )

    @field_serializer("high_value")
    def _written(self, amounts: dict[str, Decimal]) -> dict[str, str]:
        return {currency: f"{amount:.2f}" for currency, amount in amounts.items()}


class SettingsOut(SettingsIn):
    """The settings in force. Version 0 is what ships; `updated_at` is null then."""

    version: int
    updated_at: datetime | None
