"""What loyalty says: points moved, balances and tiers changed."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from perennial.common.contracts.base import CustomerId, ErasureReceipt, Event, Part, Version, Via, personal

POINTS = "points"
"""The currency that is meant where none is named."""


class Account(Part):
    """The state of one identifier's points in one currency; a customer has the sum over the identifiers."""

    via: Via
    balance: int
    pending: int
    version: Version
    currency: str = POINTS


class AccountsChanged(Event):
    """State for whoever shows balances; live or not."""

    subject: ClassVar[str] = "loyalty.accounts.changed.v1"
    state: ClassVar[bool] = True

    accounts: list[Account]


class Tier(Part):
    """The tier of one customer."""

    customer: CustomerId
    tier: str
    since: datetime
    version: Version


class TiersChanged(Event):
    """State for whoever shows tiers; live or not."""

    subject: ClassVar[str] = "loyalty.tiers.changed.v1"
    state: ClassVar[bool] = True

    tiers: list[Tier]


class PointsEarned(Event):
    """A live order or action earned points."""

    subject: ClassVar[str] = "loyalty.points.earned.v1"

    posting_id: UUID
    via: Via
    customer: CustomerId
    points: int
    reason: str = personal("prose")
    reference: str | None = personal("reference", default=None)
    currency: str = POINTS


class PointsSpent(Event):
    """Points were spent."""

    subject: ClassVar[str] = "loyalty.points.spent.v1"

    posting_id: UUID
    via: Via
    customer: CustomerId
    points: int
    reason: str = personal("prose")
    reference: str | None = personal("reference", default=None)
    currency: str = POINTS


class PointsReversed(Event):
    """A live refund or cancellation took points back."""

    subject: ClassVar[str] = "loyalty.points.reversed.v1"

    posting_id: UUID
    via: Via
    customer: CustomerId
    points: int
    reference: str | None = personal("reference", default=None)
    currency: str = POINTS


class ExpiryAnnounced(Event):
    """Points that nobody has spent end in so many days; of one customer, currency and day together."""

    subject: ClassVar[str] = "loyalty.expiry.announced.v1"

    via: Via
    customer: CustomerId
    currency: str
    points: int
    expires_at: datetime
    days: int


class TierChanged(Event):
    """A live event moved a customer to another tier."""

    subject: ClassVar[str] = "loyalty.tier.changed.v1"

    customer: CustomerId
    tier: str
    previous: str | None
    version: Version


class Benefit(Part):
    """What is granted, of which kind, and its value in the field that the kind has."""

    code: str
    kind: str
    percent: Decimal | None = None
    amount: Decimal | None = Field(default=None, description="Orders from then on.")
    points: int | None = None
    hours: int | None = None
    name: str | None = Field(default=None, description="A level, a team, a gift.")


class CustomerBenefits(Part):
    """All that a customer is granted by one origin: a tier, say."""

    customer: CustomerId
    origin: str = Field(description="What grants it; benefits of another origin are said apart.")
    held_by: str = Field(description="The tier's name.")
    benefits: list[Benefit]
    version: Version


class BenefitsChanged(Event):
    """State for whoever grants benefits; live or not."""

    subject: ClassVar[str] = "loyalty.benefits.changed.v1"
    state: ClassVar[bool] = True

    customers: list[CustomerBenefits]


class BenefitGranted(Event):
    """A customer has a benefit now that was not there before, or has it with another value."""

    subject: ClassVar[str] = "loyalty.benefit.granted.v1"

    customer: CustomerId
    origin: str
    held_by: str
    benefit: Benefit
    version: Version


class BenefitRevoked(Event):
    """A customer has a benefit no longer."""

    subject: ClassVar[str] = "loyalty.benefit.revoked.v1"

    customer: CustomerId
    origin: str
    benefit: Benefit
    version: Version


class PointsReturned(Event):
    """A spending was given back whole: its lots are free again, each with the expiry that it has."""

    subject: ClassVar[str] = "loyalty.points.returned.v1"

    posting_id: UUID
    via: Via
    customer: CustomerId
    points: int
    reference: str | None = personal("reference", default=None)
    currency: str = POINTS


class RedemptionEvent(Event):
    """What every fact about a redemption says: who takes what, and for how much.

    `amount` of `money` is paid outside; 0 where points are all. `version` counts the redemption's steps.
    """

    redemption_id: UUID
    reward_id: UUID
    kind: str
    via: Via
    customer: CustomerId
    points: int
    currency: str
    amount: Decimal
    money: str | None
    version: Version


class RedemptionReserved(RedemptionEvent):
    """Points and stock are held until `expires_at`."""

    subject: ClassVar[str] = "loyalty.redemption.reserved.v1"

    expires_at: datetime


class RedemptionConfirmed(RedemptionEvent):
    """It is paid for."""

    subject: ClassVar[str] = "loyalty.redemption.confirmed.v1"

    payment_reference: str | None = personal("reference", default=None)


class RedemptionFulfilled(RedemptionEvent):
    """The customer has it."""

    subject: ClassVar[str] = "loyalty.redemption.fulfilled.v1"


class RedemptionCancelled(RedemptionEvent):
    """Points and stock were given back; `payment_reference` says which payment is to be, by whoever took it."""

    subject: ClassVar[str] = "loyalty.redemption.cancelled.v1"

    payment_reference: str | None = personal("reference", default=None)


class RedemptionExpired(RedemptionEvent):
    """Nobody confirmed it in time: points and stock were given back."""

    subject: ClassVar[str] = "loyalty.redemption.expired.v1"


class SplitSettled(Event):
    """A split left one side in debt to the other, or what became of that. `outcome`: debt, review, waived, rejoined."""

    subject: ClassVar[str] = "loyalty.split.settled.v1"

    debt_id: UUID
    via: Via
    customer: CustomerId
    lender: UUID = Field(description="The identifier whose points had been spent.")
    currency: str
    points: int
    outcome: str


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


class ErasureCompleted(ErasureReceipt):
    """What loyalty held about a person is erased."""

    subject: ClassVar[str] = "loyalty.erasure.completed.v1"
