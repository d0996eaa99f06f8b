"""A calendar as data."""

from datetime import time
from itertools import pairwise
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from perennial.common.web.fields import Day
from perennial.tickets.calendars.working import Calendar
from perennial.tickets.texts import Label

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = "24:00"
LEAST_WEEK = 30

Clock = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]


def _known(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("must be an IANA time zone such as America/New_York") from error
    return zone


def minute_of(clock: str) -> int:
    """Minutes since midnight; 24:00 ends the day."""
    if clock == MIDNIGHT:
        return 24 * 60
    at = time.fromisoformat(clock)
    return at.hour * 60 + at.minute


class FrameIn(BaseModel):
    """Working hours within one day; a shift over midnight is two frames."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    opens: Clock = Field(alias="from")
    closes: Clock = Field(alias="to")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if minute_of(self.closes) <= minute_of(self.opens):
            raise ValueError("to: must be after from; a shift over midnight is two frames")
        return self


class CalendarDefinition(BaseModel):
    """Working hours of a week in a zone, and the days off."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    zone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_known)]
    week: dict[Weekday, Annotated[list[FrameIn], Field(max_length=12)]]
    holidays: list[Day] = Field(default=[], max_length=1000)

    @field_validator("week")
    @classmethod
    def _apart(cls, week: dict[Weekday, list[FrameIn]]) -> dict[Weekday, list[FrameIn]]:
        total = 0
        for name, frames in week.items():
            frames.sort(key=lambda frame: minute_of(frame.opens))
            for before, after in pairwise(frames):
                if minute_of(after.opens) < minute_of(before.closes):
                    msg = f"{name}: the frames from {before.opens} and from {after.opens} overlap"
                    raise ValueError(msg)
            total += sum(minute_of(frame.closes) - minute_of(frame.opens) for frame in frames)
        if total < LEAST_WEEK:
            msg = f"must have at least {LEAST_WEEK} minutes of work"
            raise ValueError(msg)
        return week

    def calendar(self) -> Calendar:
        """The same, to count with."""
        week = tuple(
            tuple((minute_of(frame.opens), minute_of(frame.closes)) for frame in self.week.get(day, []))
            for day in WEEKDAYS
        )
        return Calendar(ZoneInfo(self.zone), week, frozenset(self.holidays))
