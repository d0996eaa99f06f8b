"""What loyalty says of paid memberships and of referrals."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from perennial.common.contracts.base import CustomerId, Event, Part, Version, Via


class Membership(Part):
    """One customer's paid membership of one plan; `member` while its benefits hold."""

    customer: CustomerId
    plan: str
    status: str = Field(description="trial, active, grace, lapsed, cancelled or refunded")
    member: bool
    since: datetime
    until: datetime = Field(description="Paid for, or tried, until then.")
    version: Version


class MembershipsChanged(Event):
    """State for whoever treats members otherwise; live or not."""

    subject: ClassVar[str] = "loyalty.memberships.changed.v1"
    state: ClassVar[bool] = True

    memberships: list[Membership]


class MembershipChanged(Event):
    """A live event, or the clock, began, prolonged or ended a paid membership."""

    subject: ClassVar[str] = "loyalty.membership.changed.v1"

    customer: CustomerId
    plan: str
    status: str
    previous: str | None
    since: datetime
    until: datetime
    refund_due: Decimal = Field(description="To be paid back by whoever takes the payments; 0 is nothing.")
    money: str
    version: Version


class ReferralEvent(Event):
    """What every fact about a referral says: who brought whom, by which order. `version` counts its steps."""

    referral_id: UUID
    via: Via
    customer: CustomerId
    friend: UUID = Field(description="The identifier of the friend who ordered.")
    friend_customer: CustomerId
    version: Version


class ReferralQualified(ReferralEvent):
    """A friend's order counts; both are rewarded at `due_at` if it is not given back."""

    subject: ClassVar[str] = "loyalty.referral.qualified.v1"

    due_at: datetime


class ReferralSuspected(ReferralEvent):
    """The two have something in common: staff decide."""

    subject: ClassVar[str] = "loyalty.referral.suspected.v1"

    reasons: list[str] = Field(description="device, phone, address, payment, velocity, self")


class ReferralRewarded(ReferralEvent):
    """Both have their points."""

    subject: ClassVar[str] = "loyalty.referral.rewarded.v1"


class ReferralEnded(ReferralEvent):
    """Nobody is rewarded, or what both were given was taken back. `outcome`: void, rejected or reversed."""

    subject: ClassVar[str] = "loyalty.referral.ended.v1"

    outcome: str
