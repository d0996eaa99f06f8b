"""Checking in on the wire."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

SHOWN = ConfigDict(from_attributes=True)


class AheadOut(BaseModel):
    """The next bonus."""

    model_config = SHOWN

    in_days: int = Field(description="Days running after the streak as it stands.")
    points: int


class CheckInOut(BaseModel):
    """Today, as the programme's time zone has it."""

    model_config = SHOWN

    day: date
    checked_in: bool
    streak: int = Field(description="Days running, today's included once it is done.")
    points: int = Field(description="What today has brought, or would.")
    bonus: int = Field(description="What it brings besides, for the streak.")
    currency: str
    next_bonus: AheadOut | None
    recent: list[date] = Field(description="The days of the last month, the latest first.")
