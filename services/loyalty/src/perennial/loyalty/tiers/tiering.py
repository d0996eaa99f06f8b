"""How long a tier lasts and how it is lost, as a version of the programme says."""

from datetime import UTC, datetime, tzinfo
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.common.web.fields import Whole

Calendar = Literal["month", "quarter", "half_year", "year"]
MONTHS: dict[Calendar, int] = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}
SHORTEST_MONTH = 28


class Tiering(BaseModel):
    """Up at once; down when a period ends in which the tier was not reached again.

    `rolling`: what counts are the last `tier_window_days`, at every moment; the period ends when too little is left.
    `calendar`: what counts is the month, quarter, half-year or year; a tier lasts to the end of the next one.

    Down goes by `balance` to what was reached; by `one_step` no lower than the next tier, which then lasts a period;
    by `soft_landing` likewise, and who came near stays a period more, once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    period: Literal["rolling", "calendar"] = "rolling"
    calendar: Calendar = Field(default="year", description="Of the programme's zone; for the period calendar.")
    first_month: Whole = Field(default=1, ge=1, le=12, description="Where calendar periods are counted from.")
    down: Literal["balance", "one_step", "soft_landing"] = "balance"
    near_percent: Whole = Field(
        default=50, ge=1, le=99, description="Soft landing: who reached so much of what a tier takes is near."
    )
    grace_days: Whole = Field(
        default=0, ge=0, le=180, description="So much longer a tier lasts; what is reached meanwhile keeps it."
    )

    @model_validator(mode="after")
    def _grace_is_short(self) -> Self:
        if self.period == "calendar" and self.grace_days >= SHORTEST_MONTH * MONTHS[self.calendar]:
            raise ValueError("grace_days: must be shorter than the period")
        return self

    def bounds(self, at: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
        """The calendar period around an instant: its first one, and that of the next."""
        local, size = at.astimezone(zone), MONTHS[self.calendar]
        first = self.first_month - 1
        month = local.year * 12 + local.month - 1
        start = first + (month - first) // size * size
        return _begin(start, zone), _begin(start + size, zone)


def _begin(month: int, zone: tzinfo) -> datetime:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=zone).astimezone(UTC)
