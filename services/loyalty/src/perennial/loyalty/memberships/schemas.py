"""Memberships on the wire."""

from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from perennial.loyalty.tiers.benefits import Given

Status = Literal["trial", "active", "grace", "lapsed", "cancelled", "refunded"]


class QuoteOut(BaseModel):
    """What would go back if it ended now: of what was paid for time that is left, by whole days."""

    amount: Decimal
    currency: str
    days: int = Field(description="Of the zone's calendar; the day on which it ends counts as used.")
    of_days: int


class PlanOut(BaseModel):
    """A plan that one can have."""

    code: str
    name: dict[str, str]
    price: Decimal
    currency: str
    period: str
    trial: str | None
    benefits: list[Given]


class MembershipOut(BaseModel):
    """A membership of a plan, as its payments have made it."""

    plan: str
    name: dict[str, str]
    status: Status
    member: bool = Field(description="Whether its benefits hold: in a trial, while it is paid for, and in grace.")
    since: datetime
    until: datetime = Field(description="It is paid for, or tried, until then.")
    ends_at: datetime = Field(description="When the benefits end if nothing more is paid.")
    renews: bool = Field(description="Nobody has cancelled it.")
    payment_failed_at: datetime | None = Field(description="Since then a payment is missing.")
    refund_due: Decimal = Field(description="What is to be paid back because it was ended at once.")
    currency: str
    refund_now: QuoteOut | None = Field(description="Null: it would bring nothing back.")
    benefits: list[Given] = Field(description="What it gives; empty once it has ended.")


class SavedOut(BaseModel):
    """What a member's orders saved, less the share of what was given back, and what the membership cost."""

    currency: str
    discount: Decimal
    shipping: Decimal
    total: Decimal
    paid: Decimal


class SavingsOut(BaseModel):
    """What was saved in a year of the zone's calendar: the present one."""

    year: int
    items: list[SavedOut] = Field(description="By currency.")


class MyMembershipOut(BaseModel):
    """The customer's memberships, what they saved this year, and what else there is."""

    memberships: list[MembershipOut]
    savings: SavingsOut
    plans: list[PlanOut]


class TellingOut(BaseModel):
    """An event that was heard of a membership, and why it changed nothing, where it did not."""

    at: datetime
    kind: Literal["paid", "trial", "failed", "cancelled", "refunded"]
    plan: str = Field(description="Empty for an order that went back as a whole.")
    payment: str
    amount: Decimal | None
    currency: str
    ignored: str | None


class CustomerMembershipsOut(BaseModel):
    """A customer's memberships as staff see them, with the last 200 events that were heard of them."""

    customer_id: UUID
    memberships: list[MembershipOut]
    savings: SavingsOut
    heard: list[TellingOut]


class StandingOut(BaseModel):
    """One customer's membership in a list of all."""

    customer_id: UUID
    plan: str
    status: Status
    since: datetime
    until: datetime
    ends_at: datetime
    renews: bool
    refund_due: Decimal
    currency: str
