"""HTTP bodies of RFM."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row


class RfmOut(BaseModel):
    """A customer's standing. Orders cancelled or refunded whole do not count; refunds lower the monetary value."""

    customer_id: UUID
    last_order_at: datetime
    recency_days: int = Field(description="Calendar days since the last order, in the deployment's zone.")
    frequency: int = Field(description="Orders.")
    monetary: str = Field(description="A decimal string, in `currency`.")
    currency: str
    r: int = Field(ge=1, le=5, description="Quintile; 5 bought last.")
    f: int = Field(ge=1, le=5, description="Quintile; 5 bought most often.")
    m: int = Field(ge=1, le=5, description="Quintile; 5 spent most.")
    group: str

    @classmethod
    def of(cls, row: Row[Any], currency: str) -> Self:
        """A row as it is shown."""
        return cls(**{**row._mapping, "monetary": f"{row.monetary:.2f}", "currency": currency})  # noqa: SLF001 (public API)


class GroupOut(BaseModel):
    """The customers of one group."""

    group: str
    customers: int
    monetary: str


class RfmSummary(BaseModel):
    """Every group, the most valuable first."""

    customers: int
    orders: int
    currency: str
    groups: list[GroupOut]
    as_of: datetime | None
