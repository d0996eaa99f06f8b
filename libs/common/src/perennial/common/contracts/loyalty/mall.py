"""What loyalty says of rewards that are redeemed."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from perennial.common.contracts.base import CustomerId, Event, Version, Via, personal


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
    reward_name: dict[str, str] = Field(default={}, description="By language; empty: it was not said.")
    reserved_at: datetime | None = Field(default=None, description="When the customer took it; null: it was not said.")


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
