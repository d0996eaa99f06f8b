"""Bodies of the routes on erasures."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.contracts.base import ErasedTable
from perennial.common.web.fields import Instant

State = Literal["waiting", "held", "running", "completed", "refused"]
# Words, not texts: what is kept of an erasure must not tell of the person.
Why = Literal["customer_request", "consent_withdrawn", "purpose_fulfilled", "unlawful", "test_data", "other"]
HoldReason = Literal["litigation", "investigation", "tax", "contract", "other"]
Refusal = Literal["not_the_customer", "legal_duty", "legal_claim", "withdrawn", "other"]


class Hold(BaseModel):
    """What the law wants kept for a while: the erasure begins by itself when the time is over."""

    model_config = ConfigDict(extra="forbid")

    until: Instant
    because: HoldReason


class ErasureCreate(BaseModel):
    """Whom to erase: a customer, by today's id or an old one, or whoever has an identifier: `email:a@shop.example`."""

    model_config = ConfigDict(extra="forbid")

    customer_id: UUID | None = None
    identifier: str | None = Field(default=None, max_length=400)
    reason: Why
    legal_hold: Hold | None = None


class ErasureRefuse(BaseModel):
    """Why it is not done."""

    model_config = ConfigDict(extra="forbid")

    reason: Refusal


class Receipt(BaseModel):
    """What a service has erased and what it keeps, and why."""

    service: str
    state: Literal["pending", "completed"]
    at: datetime | None = None
    tables: list[ErasedTable] = []


class Remains(BaseModel):
    """A place where copies age, and by when the last one is gone. Until all services have answered it is not known."""

    where: str
    what: str
    until: datetime | None


class Erasure(BaseModel):
    """An erasure. It is `completed` when every service has answered; copies that age are gone at `clean_at`."""

    id: UUID
    customer_id: UUID
    state: State
    reason: Why
    held_until: datetime | None
    hold_reason: HoldReason | None
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    refusal: Refusal | None
    completed_at: datetime | None
    asked_at: datetime | None = Field(description="When those it waits for were asked once more.")
    waits_for: list[str] = Field(description="Services that have not answered yet, while it is `running`.")


class ErasureDetail(Erasure):
    """The same with the receipts."""

    services: list[Receipt]
    remains: list[Remains]
    clean_at: datetime | None


class MyErasure(BaseModel):
    """What a customer sees of the wish to be forgotten."""

    id: UUID
    state: State
    requested_at: datetime
    held_until: datetime | None
    completed_at: datetime | None
