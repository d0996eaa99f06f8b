"""Redemptions on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Flag, Whole
from perennial.loyalty.points.schemas import Reason, Reference
from perennial.loyalty.rewards.definition import MOST, Credit, Kind, Money

State = Literal["reserved", "confirmed", "fulfilled", "cancelled", "expired"]


class RedeemIn(BaseModel):
    """A reward to reserve; points and stock are held from then on."""

    model_config = ConfigDict(extra="forbid")

    reward_id: UUID
    points: Annotated[Whole, Field(ge=0, le=MOST)] | None = Field(
        default=None, description="The price that was shown; when it is another meanwhile, nothing is reserved."
    )
    confirm: Flag = Field(default=False, description="Confirm it at once: of what costs points alone.")


class ConfirmIn(BaseModel):
    """That it is paid for; `payment_reference` is required where money is part of the price."""

    model_config = ConfigDict(extra="forbid")

    payment_reference: Reference | None = Field(default=None, description="The payment, in your terms.")


class CancelIn(BaseModel):
    """Why it is called off."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason | None = None


class MyRedemptionOut(BaseModel):
    """A redemption as its customer sees it, at the terms of its reservation."""

    id: UUID
    reward_id: UUID
    kind: Kind
    name: dict[str, str]
    points: int
    currency: str
    money: Money | None
    credit: Credit | None
    state: State
    version: int
    reserved_at: datetime
    expires_at: datetime = Field(description="Until then it is held for whoever confirms it.")
    confirmed_at: datetime | None
    fulfilled_at: datetime | None
    ended_at: datetime | None = Field(description="When it was cancelled, or its time was over.")
    code: str | None = Field(description="Once it is fulfilled; of staff only those see it who manage the programme.")


class RedemptionOut(MyRedemptionOut):
    """A redemption as staff see it."""

    reward_version: int
    customer_id: UUID
    via: UUID
    payment_reference: str | None
    note: str | None
