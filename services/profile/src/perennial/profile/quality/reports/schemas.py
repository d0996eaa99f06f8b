"""HTTP bodies of the report."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.profile.quality.measuring import scores


class TraitMeasures(BaseModel):
    """A trait as one source's customers show it, on one day (UTC). A share is null where there is nothing to count."""

    day: date
    source: str
    key: str
    required: bool
    customers: int | None = Field(description="Customers of the source that were looked at.")
    fill_rate: float | None = Field(description="Of these, who show the trait.")
    said: int = Field(description="Values that came in on the day.")
    validity: float | None = Field(description="Accepted of what was said on the day.")
    values: int | None = Field(description="Values of the source that were looked at.")
    median_age_seconds: float | None
    p90_age_seconds: float | None
    stale_share: float | None
    uniqueness: float | None = Field(description="Distinct of all values, where a rule says that they should be.")
    sampled: bool = Field(description="A sample of the customers was looked at: they are too many.")

    @classmethod
    def of(cls, row: Mapping[str, Any], who: Principal) -> "TraitMeasures":
        """A stored row."""
        return cls(
            day=row["day"], source=row["source"], key=masks.text(who, row["key"]), required=row["required"],
            customers=row["customers"], fill_rate=scores.share(row["shown"], row["customers"]), said=row["said"],
            validity=scores.share(row["accepted"], row["said"]), values=row["held"],
            median_age_seconds=row["median_age"], p90_age_seconds=row["p90_age"],
            stale_share=scores.share(row["stale"], row["held"]),
            uniqueness=scores.share(row["distinct_values"], row["unique_of"]), sampled=row["sampled"],
        )  # fmt: skip


class Component(BaseModel):
    """A part of the score: its weight of 100, and its value between 0 and 1; null: not measured, left out."""

    name: str
    weight: int
    value: float | None


class Waiting(BaseModel):
    """What waits for somebody: at the gateway (`quarantined`), and here by a rule (`held`)."""

    quarantined: int
    held: int


class SourceMeasures(BaseModel):
    """One source on one day. Shares are of the seven days up to it."""

    day: date
    source: str
    score: float | None = Field(description="0 to 100: the weighted mean of the components that were measured.")
    components: list[Component]
    customers: int | None
    events: dict[str, int] = Field(description="Of the day, by what became of them.")
    late_share: float | None
    duplicate_share: float | None
    rejected_share: float | None
    quarantine: Waiting
    shared_identifiers: int = Field(description="Identifiers that belong to several people.")
    sampled: bool
    measured_at: datetime

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "SourceMeasures":
        """A stored row."""
        held = row["measures"]
        parts = [
            Component(name=name, weight=weight, value=held["components"].get(name))
            for name, weight in scores.WEIGHTS.items()
        ]
        return cls(
            day=row["day"], source=row["source"], score=held["score"], components=parts, customers=held["customers"],
            events=held["events"], late_share=held["shares"]["late"], duplicate_share=held["shares"]["duplicates"],
            rejected_share=held["shares"]["rejected"], quarantine=Waiting.model_validate(held["waiting"]),
            shared_identifiers=held["shared_identifiers"], sampled=row["sampled"], measured_at=row["measured_at"],
        )  # fmt: skip


class SourceReport(BaseModel):
    """A source as it was measured last, its traits, and how it went before."""

    now: SourceMeasures
    traits: list[TraitMeasures]
    trend: list[SourceMeasures] = Field(description="The days before, oldest first.")
