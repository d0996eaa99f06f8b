"""What loyalty says: points moved, balances and tiers changed."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

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


class ErasureCompleted(ErasureReceipt):
    """What loyalty held about a person is erased."""

    subject: ClassVar[str] = "loyalty.erasure.completed.v1"
