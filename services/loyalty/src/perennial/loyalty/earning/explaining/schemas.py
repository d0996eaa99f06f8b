"""Explanations and previews on the wire."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from perennial.common.commerce import ORDER_COMPLETED
from perennial.common.web.fields import Instant
from perennial.loyalty.fields import Storable

SHOWN = ConfigDict(from_attributes=True)
FIRST_YEAR, LAST_YEAR = 2000, 2200
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), Storable]


def _of_our_time(at: datetime) -> datetime:
    if not FIRST_YEAR <= at.year < LAST_YEAR:
        raise ValueError(f"must lie from {FIRST_YEAR} until {LAST_YEAR}")
    return at


class PreviewMine(BaseModel):
    """A cart as an order would be told: `properties` with revenue or products, and whatever rules ask for."""

    model_config = ConfigDict(extra="forbid")

    event: Word = ORDER_COMPLETED
    source: Word = Field(default="app", description="The slug of the source that would tell of it.")
    properties: dict[str, Any] = Field(
        default_factory=dict, max_length=100,
        examples=[{"revenue": "59.90", "products": [{"category": "Tea", "price": "59.90", "quantity": 1}]}],
    )  # fmt: skip


class PreviewIn(PreviewMine):
    """The same for a customer; without one, for somebody new."""

    customer_id: UUID | None = None
    at: Annotated[Instant, AfterValidator(_of_our_time)] | None = Field(
        default=None, description="When it would happen, from 2000 until 2200; null: now."
    )


class ReasonOut(BaseModel):
    """One node of a rule's condition: whether it holds, and what it saw."""

    pointer: str
    phrase: str
    holds: bool
    value: Any = None
    parts: list["ReasonOut"] = []


class FactorOut(BaseModel):
    """A tier's multiplier or a boost that held."""

    name: str
    factor: Decimal


class RuleOut(BaseModel):
    """What one rule says: `units` × `rate` × the factors, rounded, are `claimed`; `points` of them count.

    `because`: it `holds`; or its condition, its first_order or its lines do not, or it came to nothing; or another
    rule of its group counts; or a cap left less.
    """

    rule: str
    currency: str
    because: Literal["holds", "condition", "first_order", "lines", "nothing", "group", "cap"]
    per: Literal["unit", "item", "event"]
    units: Decimal | None
    rate: Decimal
    factors: list[FactorOut]
    claimed: int
    points: int
    group: str | None
    condition: ReasonOut | None = Field(description="Null: the rule has none.")


class BringsOut(BaseModel):
    """Points of one currency. `active_at` is null while nobody can say, for they wait for the delivery."""

    model_config = SHOWN

    currency: str
    points: int
    active_at: datetime | None
    expires_at: datetime | None


class PreviewOut(BaseModel):
    """What it would bring, within what caps leave now, and why."""

    customer_id: UUID | None
    version: int
    tier: str | None
    points: list[BringsOut]
    rules: list[RuleOut]


class LotOut(BaseModel):
    """Points that came together, and what has become of them."""

    model_config = SHOWN

    id: UUID
    currency: str
    points: int
    reversed: int
    expired: int
    state: Literal["pending", "active"]
    active_at: datetime
    expires_at: datetime | None


class RefundOut(BaseModel):
    """A refund; an amount of null is the whole."""

    model_config = SHOWN

    at: datetime
    amount: Decimal | None


class CauseOut(BaseModel):
    """An order, an event or a check-in, what the rules saw of it, and what each said.

    `missing` is `completion` of an order of which nobody has said that it was completed: it earns nothing before.
    """

    kind: Literal["order", "event", "check-in"]
    name: str
    source: str
    reference: str | None
    at: datetime | None
    version: int | None = Field(description="Of the programme.")
    amount: Decimal | None
    tier: str | None
    first_order: bool | None
    streak: int | None = Field(description="Days running, of a check-in.")
    missing: Literal["completion"] | None
    rules: list[RuleOut]
    lots: list[LotOut]
    refunds: list[RefundOut]
    waived: dict[str, int] = Field(description="What refunds asked for and the policy left to the customer.")


class UseOut(BaseModel):
    """Points of a lot that a spending took."""

    model_config = SHOWN

    lot_id: UUID
    points: int


class ExplainedOut(BaseModel):
    """A line of the ledger: what it is about, the lots that it brought, changed or used, and what it goes back to."""

    id: UUID
    kind: Literal["earn", "activate", "spend", "return", "reverse", "expire", "adjust"]
    currency: str
    at: datetime
    points: int
    pending: int
    reason: str
    reference: str | None
    lots: list[LotOut]
    uses: list[UseOut]
    cause: CauseOut | None = Field(description="Null where no rule had a part in it.")
