"""Accounts on the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.loyalty.tiers.schemas import TierOut

SHOWN = ConfigDict(from_attributes=True)


class ExpiringOut(BaseModel):
    """Points that end on the same day if nobody spends them."""

    model_config = SHOWN

    currency: str
    points: int
    expires_at: datetime


class WalletOut(BaseModel):
    """What a customer has of one currency; stored credit in the smallest unit of its money."""

    model_config = SHOWN

    currency: str
    kind: Literal["points", "growth", "credit"]
    balance: int
    pending: int


class AccountOut(BaseModel):
    """A customer's points: balance + pending = earned + adjusted − spent − reversed − expired."""

    model_config = SHOWN

    customer_id: UUID
    balance: int = Field(description="What can be spent; below zero when a refund took back what had been spent.")
    pending: int = Field(description="Earned, but not to be spent yet.")
    earned: int
    spent: int
    reversed: int
    expired: int
    adjusted: int
    tier: TierOut
    currency: str = Field(description="The main one of the programme: all figures above are in it.")
    wallets: list[WalletOut] = Field(description="Every currency of the programme.")
    expiring: list[ExpiringOut] = Field(description="What ends within 30 days, the soonest first.")


class PostingOut(BaseModel):
    """A line of the ledger; `balance` is what could be spent after it."""

    model_config = SHOWN

    id: UUID
    kind: Literal["earn", "activate", "spend", "return", "reverse", "expire", "adjust"]
    at: datetime
    recorded_at: datetime
    points: int = Field(description="Its effect on the balance.")
    pending: int = Field(description="Its effect on what is pending.")
    balance: int
    reason: str
    reference: str | None
    via: UUID


class SummaryOut(BaseModel):
    """All accounts in a currency together. `liability` is the sum of what customers have, those below zero left out."""

    model_config = SHOWN

    currency: str
    accounts: int
    earned: int
    spent: int
    reversed: int
    expired: int
    adjusted: int
    pending: int
    liability: int
    tiers: dict[str, int]
