"""Tiers on the wire."""

from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Flag, Instant
from perennial.loyalty.fields import Name
from perennial.loyalty.points.schemas import Reason
from perennial.loyalty.tiers.benefits import Given

SHOWN = ConfigDict(from_attributes=True)


class ReachedOut(BaseModel):
    """By measure; null where the programme does not ask for it."""

    model_config = SHOWN

    points: int | None = Field(description="Of the tiers' currency.")
    spend: Decimal | None = Field(description="Money paid for orders and not given back.")
    orders: int | None = Field(description="Orders paid for and not given back whole.")


class NextOut(BaseModel):
    """The tier above, and what is missing to it by each way; any of them is enough."""

    model_config = SHOWN

    name: str
    missing: ReachedOut


class PeriodOut(BaseModel):
    """What counts now, and how much it is: of the last `days` at every moment, or of a calendar period."""

    model_config = SHOWN

    days: int | None
    since: datetime | None
    until: datetime | None
    reached: ReachedOut


class ProjectedOut(BaseModel):
    """The next tier if nothing more is earned; `at` is null where nothing would change."""

    model_config = SHOWN

    name: str
    at: datetime | None


class TierOut(BaseModel):
    """Where a customer stands. `to_next` is null at the top, and where points do not lead to the next."""

    model_config = SHOWN

    name: str
    since: datetime | None = None
    to_next: int | None
    next: NextOut | None = Field(description="Null at the top.")
    period: PeriodOut
    projected: ProjectedOut
    held_until: datetime | None = Field(description="How long a tier lasts that was not reached again.")
    by_staff: bool = Field(description="Whether staff put the customer there, for some time.")
    benefits: list[Given]


class OverrideIn(BaseModel):
    """A tier that staff give, until when and why."""

    model_config = ConfigDict(extra="forbid")

    tier: Name
    exact: Flag = Field(default=False, description="False: at least this tier. True: this one, whatever was earned.")
    until: Instant
    reason: Reason


class OverrideOut(BaseModel):
    """What staff said of a customer's tier; of several that hold the newest decides."""

    model_config = SHOWN

    id: UUID
    tier: str
    exact: bool
    reason: str
    author: str
    set_at: datetime
    until: datetime
    ended_at: datetime | None
    ended_by: str | None


class TierChangeOut(BaseModel):
    """A tier that a customer was told: from then on, instead of which, why, and by which programme."""

    model_config = SHOWN

    customer_id: UUID = Field(description="The customer's id at that time.")
    version: int
    tier: str
    previous: str | None
    at: datetime
    why: Literal["reached", "period_ended", "corrected", "override", "override_ended", "programme_changed"]
    programme: int


class ToldOut(BaseModel):
    """A step over the ladder by what was earned; `until`: how long a tier lasts that was not reached again."""

    model_config = SHOWN

    at: datetime
    tier: str
    why: Literal["reached", "period_ended", "grace", "held", "kept"]
    until: datetime | None


class CountedOut(BaseModel):
    """Something that counts now, and from when."""

    model_config = SHOWN

    at: datetime
    what: ReachedOut


class RungOut(BaseModel):
    """A tier: what each way to it takes, what is missing, and whether it is reached by what counts now."""

    model_config = SHOWN

    name: str
    takes: ReachedOut
    missing: ReachedOut
    reached: bool


class KeepOut(BaseModel):
    """By when the tier must be reached again, and what is missing to it by each way."""

    model_config = SHOWN

    tier: str
    by: datetime
    missing: ReachedOut


class OverrideShown(BaseModel):
    """What staff said and still holds."""

    model_config = SHOWN

    tier: str
    exact: bool
    until: datetime


class ExplanationOut(BaseModel):
    """Why a customer has this tier, and what would change it, and when."""

    model_config = SHOWN

    customer_id: UUID
    as_of: datetime
    programme: int = Field(description="The version that decides.")
    tier: str
    why: Literal["beginning", "reached", "period_ended", "grace", "held", "kept", "override"]
    since: datetime | None
    earned: str = Field(description="The tier by what was earned alone.")
    waits_for_events: bool = Field(description="A period has ended, and what was earned in it may be on its way.")
    override: OverrideShown | None
    period: PeriodOut
    next: NextOut | None
    keep: KeepOut | None = Field(description="Null where there is nothing to lose.")
    projected: str
    projected_at: datetime | None
    ladder: list[RungOut]
    steps: list[ToldOut] = Field(description="How the customer came here; the last 50.")
    ahead: list[ToldOut] = Field(description="What comes if nothing more is earned.")
    counted: list[CountedOut] = Field(description="What counts now; the newest 50.")
