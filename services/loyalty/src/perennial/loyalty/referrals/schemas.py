"""Referrals on the wire."""

from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.loyalty.points.schemas import Reason

State = Literal["pending", "held", "rewarded", "reversed", "rejected", "void"]


class SideOut(BaseModel):
    """What one side gets."""

    side: Literal["referrer", "friend"]
    points: int
    currency: str


class TermsOut(BaseModel):
    """What a customer can promise a friend."""

    rewards: list[SideOut]
    minimum: Decimal = Field(description="What the friend's order must be worth at least.")
    window_days: int
    hold_days: int = Field(description="The return window: both wait until it is over.")


class StatsOut(BaseModel):
    """What came of a customer's codes."""

    came: int = Field(description="Customers who came by one.")
    waiting: int
    rewarded: int
    points: dict[str, int] = Field(description="By currency.")


class MyReferralOut(BaseModel):
    """The customer's code and link, the terms, and what came of it."""

    code: str | None = Field(description="Null: none has been made yet, POST here for one.")
    link: str | None = Field(description="Null without a code, or where the programme rewards nobody for friends.")
    terms: TermsOut | None = Field(description="Null: the programme rewards nobody for friends.")
    stats: StatsOut


class ReferralOut(BaseModel):
    """A referral: who brought whom, by which order, and what became of it."""

    id: UUID
    customer_id: UUID = Field(description="Whose code it was.")
    friend_id: UUID
    code: str
    state: State = Field(
        description="pending: until the return window is over. held: for staff to decide. void: the order does not "
        "count, or went back. reversed: it was rewarded, and what went back took the points with it."
    )
    reasons: list[str] = Field(
        description="Why it is, or was, held: device, phone, address, payment, velocity, self, or unguarded (the "
        "deployment has no key to compare by)."
    )
    purchase_id: UUID
    amount: Decimal
    rewards: list[SideOut]
    touched_at: datetime
    qualified_at: datetime
    due_at: datetime
    decision: Literal["approved", "rejected"] | None
    decided_by: str | None
    decided_at: datetime | None
    note: str | None
    version: int


class ReviewIn(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason | None = None


class NodeOut(BaseModel):
    """A customer in the tree of referrals."""

    customer_id: UUID
    parent_id: UUID = Field(description="Who brought them.")
    depth: int
    referral_id: UUID
    state: State


class TreeOut(BaseModel):
    """Whom a customer brought, whom those brought, and so on; level by level, each customer once."""

    customer_id: UUID
    nodes: list[NodeOut]
    truncated: bool = Field(description="There are more than were asked for.")
