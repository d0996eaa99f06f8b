"""What loyalty says of points: earned, spent, taken back, about to end; balances by identifier."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from perennial.common.contracts.base import CustomerId, Event, Part, Version, Via, personal

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


class PointsMoved(Event):
    """Points came or went, by one posting of the ledger; which way, its contract tells."""

    posting_id: UUID
    via: Via
    customer: CustomerId
    points: int
    reference: str | None = personal("reference", default=None)
    currency: str = POINTS


class PointsEarned(PointsMoved):
    """A live order or action earned points."""

    subject: ClassVar[str] = "loyalty.points.earned.v1"

    reason: str = personal("prose")


class PointsSpent(PointsMoved):
    """Points were spent."""

    subject: ClassVar[str] = "loyalty.points.spent.v1"

    reason: str = personal("prose")


class PointsReversed(PointsMoved):
    """A live refund or cancellation took points back."""

    subject: ClassVar[str] = "loyalty.points.reversed.v1"


class ExpiryAnnounced(Event):
    """Points that nobody has spent end in so many days; of one customer, currency and day together."""

    subject: ClassVar[str] = "loyalty.expiry.announced.v1"

    via: Via
    customer: CustomerId
    currency: str
    points: int
    expires_at: datetime
    days: int


class PointsReturned(PointsMoved):
    """A spending was given back whole: its lots are free again, each with the expiry that it has."""

    subject: ClassVar[str] = "loyalty.points.returned.v1"


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
