"""HTTP bodies of RFM."""

from collections.abc import Iterable
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from perennial.segments.rfm.names import NAMES, By

_SHARE, _CENT = Decimal("0.0001"), Decimal("0.01")


class RfmOut(BaseModel):
    """A customer's standing. Orders cancelled or refunded whole do not count; refunds lower the monetary value."""

    customer_id: UUID
    last_order_at: datetime
    recency_days: int = Field(description="Calendar days since the last order, in the deployment's zone.")
    frequency: int = Field(description="Orders.")
    monetary: str = Field(description="A decimal string, in `currency`.")
    currency: str
    r: int = Field(ge=1, le=5, description="5 bought last: 1 + floor(5 · those strictly worse / all), or a fixed band.")
    f: int = Field(ge=1, le=5, description="5 bought most often.")
    m: int = Field(ge=1, le=5, description="5 spent most.")
    group: str = Field(description="One of eleven by r and f: champions … lost.")
    class_: str = Field(
        serialization_alias="class",
        description="One of eight by high and low r, f and m: important_value (重要价值) … general_winback (一般挽留).",
    )
    quadrant: str = Field(description="High or low value, high or low activity.")
    cluster: str | None = Field(description="One of five by k-means; null where too few customers differ.")
    run_id: UUID = Field(description="The run whose thresholds these are.")

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """A row as it is shown."""
        said = row._mapping  # noqa: SLF001 (public API)
        return cls(**{**said, "class_": said["class"], "monetary": f"{row.monetary:.2f}"})


class GroupOut(BaseModel):
    """The customers of one group."""

    group: str
    customers: int
    monetary: str


class RfmSummary(BaseModel):
    """Every group, the most valuable first. Sums are those of this moment; thresholds are those of `as_of`."""

    customers: int
    orders: int
    currency: str
    groups: list[GroupOut]
    as_of: datetime | None
    run_id: UUID | None


class Figures(BaseModel):
    """One group in a report."""

    key: str
    en: str
    zh: str
    customers: int
    share: str = Field(description="Of all customers: a decimal string from 0 to 1.")
    orders: int
    monetary: str = Field(description="Net of refunds: a decimal string.")
    average: str = Field(description="Monetary value per customer: a decimal string.")


class ReportOut(BaseModel):
    """What each group is worth: now, or as a past run found it."""

    by: By
    currency: str
    run_id: UUID | None
    as_of: datetime | None
    customers: int
    orders: int
    monetary: str
    groups: list[Figures]


def figures(by: By, found: Iterable[tuple[str | None, int, int, Decimal]]) -> list[Figures]:
    """Every group there is by name, empty ones too; (key, customers, orders, money) of those that were found."""
    known = {key: (customers, orders, money) for key, customers, orders, money in found if key is not None}
    everybody = sum(customers for customers, _, _ in known.values())
    return [_figures(key, names, everybody, *known.get(key, (0, 0, Decimal(0)))) for key, names in NAMES[by].items()]


def _figures(key: str, names: tuple[str, str], everybody: int, customers: int, orders: int, money: Decimal) -> Figures:
    return Figures(
        key=key,
        en=names[0],
        zh=names[1],
        customers=customers,
        share=str((Decimal(customers) / max(everybody, 1)).quantize(_SHARE, ROUND_HALF_EVEN)),
        orders=orders,
        monetary=f"{money:.2f}",
        average=f"{(money / max(customers, 1)).quantize(_CENT, ROUND_HALF_EVEN):.2f}",
    )
