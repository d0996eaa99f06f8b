"""HTTP bodies of rules on quality and of its settings."""

import math
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from perennial.common.rules import trait_key
from perennial.profile.params import Word

Kind = Literal["missing", "outlier", "duplicate", "threshold"]
Action = Literal["flag", "null", "clip", "quarantine"]
Measure = Literal[
    "score", "fill", "validity", "freshness", "uniqueness", "late", "duplicates", "rejected", "quarantine"
]
Compared = Literal["plain", "number", "money", "date", "datetime"]
Late = Literal["1h", "1d", "7d"]
OF_TRAITS = {"fill", "validity", "freshness", "uniqueness"}
_ACTIONS = {
    "missing": {"flag"},
    "threshold": {"flag"},
    "outlier": {"flag", "null", "clip", "quarantine"},
    "duplicate": {"flag", "null", "quarantine"},
}
_FIELDS = {
    "missing": {"below", "recover"},
    "outlier": {"method", "factor", "min_values"},
    "duplicate": set[str](),
    "threshold": {"measure", "below", "above", "recover"},
}
_OWN = {field for fields in _FIELDS.values() for field in fields}
GAP = 0.02

Name = Annotated[Word, Field(min_length=1, max_length=200)]


class RuleIn(BaseModel):
    """A rule on data quality.

    `missing`: a trait that fewer than `below` of a source's customers show. `outlier`: numbers, amounts and times
    far from what is usual.
    `duplicate`: a value that two customers give. `threshold`: a measure that passes a limit.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    name: Name
    key: Name | None = Field(default=None, description="The trait, in any spelling.")
    source: Name | None = Field(default=None, description="Only what this source says; else what each one says.")
    action: Action = Field(
        default="flag",
        description="flag: list it. null: take nothing in its place. clip: take the nearest usual value. quarantine: "
        "keep it aside, what was there stays. They act on what comes in from now on.",
    )
    method: Literal["iqr", "mad"] | None = Field(
        default=None, description="iqr: beyond the quartiles by `factor` times their distance; mad: robust z."
    )
    factor: float | None = Field(default=None, gt=0, le=100, description="1.5 for iqr, 3.5 for mad where not given.")
    min_values: int | None = Field(default=None, ge=10, le=1_000_000, description="Of fewer there is no baseline; 30.")
    measure: Measure | None = None
    below: float | None = Field(default=None, ge=0, le=100)
    above: float | None = Field(default=None, ge=0)
    recover: float | None = Field(default=None, ge=0, description="From here on it is well again; 2 % away by default.")

    @field_validator("key")
    @classmethod
    def _spelling(cls, key: str | None) -> str | None:
        return trait_key(key) if key else key

    @field_validator("factor", "below", "above", "recover")
    @classmethod
    def _finite(cls, number: float | None) -> float | None:
        if number is not None and not math.isfinite(number):
            raise ValueError("must be a finite number")
        return number

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {field for field in _OWN if getattr(self, field) is not None}
        if stray := sorted(given - _FIELDS[self.kind]):
            raise ValueError(f"{stray[0]}: not of a rule of kind {self.kind}")
        if self.action not in _ACTIONS[self.kind]:
            raise ValueError(f"action: {self.action} is not for a rule of kind {self.kind}")
        if self.kind != "threshold" and not self.key:
            raise ValueError("key: a rule of this kind is on a trait")
        if self.kind in {"missing", "threshold"}:
            self._limited()
        return self

    def _limited(self) -> None:
        if self.kind == "threshold" and self.measure is None:
            raise ValueError("measure: a threshold is on one")
        if self.kind == "threshold" and self.key and self.measure not in OF_TRAITS:
            raise ValueError(f"key: {self.measure} is measured of sources only")
        if (self.below is None) == (self.above is None):
            raise ValueError(
                "below: give it or above, one of the two" if self.kind == "threshold" else "below: give it"
            )
        if self.below is not None and self.recover is not None and self.recover < self.below:
            raise ValueError("recover: must not be less than below")
        if self.above is not None and self.recover is not None and self.recover > self.above:
            raise ValueError("recover: must not be greater than above")
        if self.measure not in {"score", "quarantine"} and max(self.below or 0, self.above or 0) > 1:
            raise ValueError(
                "below: a share lies between 0 and 1" if self.above is None else "above: a share lies between 0 and 1"
            )


class Baseline(BaseModel):
    """What is usual, by the last look; null where you may not see the trait."""

    of: Compared = Field(
        description="What is compared: by the trait's type numbers, also where they are texts, amounts, days or "
        "instants; `plain`: numbers that are none of these."
    )
    unit: str | None = Field(description="The currency of the amounts; those in others are not judged.")
    low: Decimal | str | None = Field(description="A time where times are compared.")
    high: Decimal | str | None
    centre: Decimal | str | None = Field(description="The median.")
    spread: Decimal | None = Field(
        description="Distance of the quartiles, or median absolute deviation; of times in days or seconds."
    )
    count: int
    sampled: bool
    at: datetime


class RuleOut(RuleIn):
    """A rule in force, or one that is archived."""

    id: UUID
    version: int
    archived: bool
    ready: bool = Field(description="It acts: of a rule on outliers there is a baseline, on duplicates all is indexed.")
    baseline: Baseline | None = None
    updated_at: datetime
    updated_by: str

    @model_validator(mode="after")
    def _whole(self) -> Self:
        return self


class RuleVersion(BaseModel):
    """An earlier version of a rule."""

    version: int
    definition: RuleIn
    archived: bool
    at: datetime
    by: str


class Settings(BaseModel):
    """By what freshness and lateness are measured."""

    model_config = ConfigDict(extra="forbid")

    stale_after_days: int = Field(default=365, ge=1, le=3650, description="A value that is older is stale.")
    late_after: Late = Field(default="1d", description="An event that was received so long after it happened is late.")


class SettingsOut(Settings):
    """The settings with their version."""

    version: int
