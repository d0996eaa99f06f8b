"""When points end: never, on a day of the year, some months after they were earned, or after nothing was done."""

import calendar
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.common.web.fields import Whole
from perennial.loyalty.dates import add_months

Until = Literal["exact", "month", "quarter", "year"]
MONTHS: dict[Until, int] = {"month": 1, "quarter": 3, "year": 12}


class Expiry(BaseModel):
    """How long points of a currency last.

    `months`: so long after they were earned, rounded up to the end of the `until` in the programme's zone.
    `sliding`: so long after the customer last earned or spent anything.
    `date`: until the end of a day of the year, the first one that lies at least `months` after they were earned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["never", "months", "sliding", "date"] = "never"
    months: Whole | None = Field(default=None, ge=0, le=120)
    until: Until = "exact"
    day: Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")] | None = Field(
        default=None, description="Month and day, such as 12-31; the 29th of February is the 28th in other years."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind in {"months", "sliding"} and not self.months:
            raise ValueError(f"months: must be at least 1 for {self.kind}")
        if self.kind == "date" and self.day is None:
            raise ValueError("day: is needed for date")
        if self.day is not None and int(self.day[3:]) > calendar.monthrange(2024, int(self.day[:2]))[1]:
            raise ValueError(f"day: there is no {self.day}")
        if (self.day is not None) != (self.kind == "date"):
            raise ValueError(f"day: has no meaning for {self.kind}")
        if self.until != "exact" and self.kind in {"never", "date"}:
            raise ValueError(f"until: has no meaning for {self.kind}")
        return self

    def after(self, at: datetime, zone: tzinfo) -> datetime | None:
        """When points that were earned (or, if sliding, last cared for) at an instant expire; None: never."""
        if self.kind == "never":
            return None
        later = add_months(at, self.months or 0)
        if self.kind == "date":
            return self._on_the_day(later, zone)
        return later if self.until == "exact" else _end(later, MONTHS[self.until], zone)

    def _on_the_day(self, at: datetime, zone: tzinfo) -> datetime:
        assert self.day is not None  # noqa: S101 (validated)
        month, day = int(self.day[:2]), int(self.day[3:])
        year = at.astimezone(zone).year
        for candidate in (year, year + 1):
            last = date(candidate, month, min(day, calendar.monthrange(candidate, month)[1]))
            end = datetime.combine(last + timedelta(days=1), time(), zone)
            if end > at:
                return end.astimezone(at.tzinfo)
        msg = "a day of next year is later than any of this"
        raise AssertionError(msg)

    def slid(self, earned_at: datetime, activity: Iterable[datetime], zone: tzinfo) -> datetime | None:
        """When points expire that last as long as something is done in time; `activity` ascends."""
        ends = self.after(earned_at, zone)
        if ends is None or self.kind != "sliding":
            return ends
        for at in activity:
            if at >= ends:
                break
            if at > earned_at:
                ends = max(ends, self.after(at, zone) or ends)
        return ends


def _end(at: datetime, months: int, zone: tzinfo) -> datetime:
    """The end of the month, quarter or year that an instant lies in."""
    local = at.astimezone(zone)
    first = local.year * 12 + (local.month - 1) // months * months + months
    return datetime(first // 12, first % 12 + 1, 1, tzinfo=zone).astimezone(at.tzinfo)
