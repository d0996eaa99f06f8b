"""The catalogue on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from perennial.loyalty.fields import Storable
from perennial.loyalty.rewards.definition import Credit, Kind, Limit, Money, Offer

MOST_CODES = 10_000

Refusal = Literal["archived", "not_yet", "over", "tier", "limit", "sold_out", "points"]
VoucherCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), Storable]


class RewardIn(Offer):
    """A reward to offer, or a new version of one."""


class RewardOut(BaseModel):
    """A reward; `taken` of its stock are reserved, confirmed or fulfilled."""

    id: UUID
    version: int
    kind: Kind
    state: Literal["active", "hidden", "archived"]
    name: dict[str, str]
    description: dict[str, str]
    points: int
    currency: str
    money: Money | None
    credit: Credit | None
    stock: int | None
    taken: int
    codes: bool
    codes_left: int | None = Field(description="Null: it takes no codes.")
    starts_at: datetime | None
    ends_at: datetime | None
    limits: list[Limit]
    tiers: list[str]
    hold_minutes: int
    instant: bool
    created_at: datetime


class OfferOut(BaseModel):
    """A reward as its customer sees it."""

    id: UUID
    kind: Kind
    name: dict[str, str]
    description: dict[str, str]
    points: int
    currency: str
    money: Money | None
    credit: Credit | None
    left: int | None = Field(description="How many can still be had, of codes 1000 at the most; null: no end of it.")
    starts_at: datetime | None
    ends_at: datetime | None
    limits: list[Limit]
    tiers: list[str]
    available: bool = Field(description="Whether it can be redeemed now.")
    why_not: list[Refusal]
    missing_points: int = Field(description="How many more it takes; 0 when there are enough.")


class CodesIn(BaseModel):
    """Codes for the pool of a reward; those that it has already are left out."""

    model_config = ConfigDict(extra="forbid")

    codes: list[VoucherCode] = Field(min_length=1, max_length=MOST_CODES)


class CodesAdded(BaseModel):
    """How many were new, and how many nobody holds now."""

    reward_id: UUID
    added: int
    left: int


class CodeOut(BaseModel):
    """A code of the pool, and the redemption that holds it."""

    id: int
    code: str
    redemption_id: UUID | None
