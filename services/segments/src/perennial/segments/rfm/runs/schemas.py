"""HTTP bodies of runs."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from perennial.segments.rfm.names import By
from perennial.segments.rfm.schemas import Figures


class RunOut(BaseModel):
    """One computation of everybody's standing."""

    id: UUID
    state: str = Field(description="wanted, computing, serving (the one that is read), past or failed")
    cause: str = Field(
        description="day (one has begun), change (standings have moved), new (the first orders, or a currency's), "
        "growth (twice as many customers), asked, settings or currency (the deployment has another one)"
    )
    wanted_at: datetime
    as_of: datetime | None = Field(description="The moment at which the thresholds were frozen.")
    served_at: datetime | None
    settings_version: int | None
    customers: int | None = Field(description="With an order in the deployment's currency.")
    error: str | None

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """A row as it is shown."""
        return cls(**row._mapping)  # noqa: SLF001 (public API)


class Thresholds(BaseModel):
    """The cuts below the scores 2, 3, 4 and 5."""

    recency: list[datetime]
    frequency: list[int]
    monetary: list[str]
    compared: Literal["reached", "exceeded"] = Field(description="When a cut counts: fixed bands are reached.")


class Centroid(BaseModel):
    """The middle of one cluster, in units (the mean of the logarithms, taken back) and standardised."""

    cluster: str
    en: str
    zh: str
    because: str = Field(description="The rule that gave it its name.")
    center: dict[str, str] = Field(description="recency_days, frequency and monetary, as decimal strings.")
    z: dict[str, float] = Field(description="The same three, in deviations from the mean of ln(1 + x).")


class Clusters(BaseModel):
    """The five centroids, or the reason why there are none."""

    centroids: list[Centroid] = []
    as_of: datetime | None = Field(
        default=None, description="When they were found: by this run, or by one before and kept."
    )
    reason: str | None = None


class ModelOut(BaseModel):
    """What a run froze for one currency, and what it found."""

    currency: str
    customers: int
    orders: int
    monetary: str
    method: Literal["quantile", "fixed"]
    thresholds: Thresholds
    high: dict[str, int] = Field(description="The least r, f and m that count as high in the eight classes.")
    high_value: str = Field(description="The least monetary value of the high-value quadrants.")
    active_since: datetime = Field(description="The earliest last order of the active quadrants.")
    clusters: Clusters
    groups: dict[By, list[Figures]]


class RunDetail(RunOut):
    """A run with the thresholds of one currency; null where nobody had ordered in it."""

    currencies: list[str] = Field(description="At most fifty, the one with the most customers first.")
    model: ModelOut | None


class Cell(BaseModel):
    """So many customers went from one group to another; null: they were none of the customers then, or are no more."""

    before: str | None
    after: str | None
    customers: int


class FlowOut(BaseModel):
    """How customers moved between the groups from one run to another, or to this moment."""

    by: By
    currency: str
    run_id: UUID
    to: UUID | None = Field(description="Null: to this moment.")
    cells: list[Cell]
