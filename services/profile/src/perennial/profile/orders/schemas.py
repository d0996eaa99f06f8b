"""HTTP bodies of orders."""

from datetime import datetime

from pydantic import BaseModel, Field


class Sales(BaseModel):
    """Orders in one currency, cancelled ones left out. Amounts are decimal strings."""

    orders: int
    gmv: str = Field(description="What was ordered, before refunds.")
    refunded: str
    aov: str | None = Field(description="gmv / orders, rounded half-even; null without orders.")
    currency: str


class Month(BaseModel):
    """A calendar month in the zone that was asked for."""

    month: str = Field(examples=["2026-01"])
    orders: int
    gmv: str


class OrdersSummary(Sales):
    """All orders in the deployment's currency (or in the one that most orders bear), by month."""

    timezone: str
    months: list[Month]
    other_currencies: list[Sales]


class CustomerOrders(BaseModel):
    """A customer's orders in the deployment's currency (or in the one that most of them bear)."""

    count: int
    gmv: str
    refunded: str
    aov: str | None
    currency: str
    last_order_at: datetime | None
    other_currencies: list[Sales]
