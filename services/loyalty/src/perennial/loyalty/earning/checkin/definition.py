"""What a programme says of checking in."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.common.web.fields import Whole
from perennial.loyalty.fields import Code

MOST = 1_000_000


class StreakBonus(BaseModel):
    """Points besides, on the so manieth day running."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Whole = Field(ge=2, le=366)
    points: Whole = Field(ge=1, le=MOST)


class CheckIn(BaseModel):
    """Once on each day of the programme's time zone; a day left out begins a new streak."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: Whole = Field(default=1, ge=0, le=MOST, description="For each day.")
    currency: Code | None = Field(default=None, description="Null: the first of the programme.")
    bonuses: list[StreakBonus] = Field(default_factory=list, max_length=30)
    cycle_days: Whole | None = Field(
        default=None, ge=2, le=366, description="After so many days running bonuses are counted from 1 again."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        days = [bonus.days for bonus in self.bonuses]
        if len(set(days)) < len(days):
            raise ValueError("bonuses: days must be unique")
        if self.cycle_days is not None and any(day > self.cycle_days for day in days):
            raise ValueError("bonuses: a day beyond cycle_days is never reached")
        return self

    def place(self, streak: int) -> int:
        """Where in the cycle the so manieth day running is."""
        return streak if self.cycle_days is None else (streak - 1) % self.cycle_days + 1

    def bonus(self, streak: int) -> int:
        """The points besides, on the so manieth day running."""
        return next((bonus.points for bonus in self.bonuses if bonus.days == self.place(streak)), 0)

    def next_bonus(self, streak: int) -> tuple[int, int] | None:
        """In how many days after a streak the next bonus comes, and its points; None: there is none."""
        within = range(1, (self.cycle_days or 366) + 1)
        return next(((ahead, points) for ahead in within if (points := self.bonus(streak + ahead))), None)
