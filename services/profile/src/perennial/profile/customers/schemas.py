"""HTTP bodies of the 360."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.profile.orders.schemas import CustomerOrders

Utc = Annotated[datetime, AfterValidator(lambda value: value.astimezone(UTC))]


class TraitDetail(BaseModel):
    """A trait, and where it comes from."""

    value: Any
    at: Utc = Field(description="When the event that said it happened.")
    source: str


class Counter(BaseModel):
    """How often an event happened."""

    count: int
    first: Utc
    last: Utc


class Loyalty(BaseModel):
    """Points and tier as loyalty last told them."""

    balance: int
    pending: int
    tier: str | None
    as_of: Utc


class SegmentMembership(BaseModel):
    """A segment the customer is in."""

    id: UUID
    name: str
    since: Utc


class Tickets(BaseModel):
    """Service requests."""

    open: int


class Messages(BaseModel):
    """What campaigns sent."""

    sent: int


class Me(BaseModel):
    """What a customer may see of their own."""

    id: UUID
    traits: dict[str, Any]
    orders: CustomerOrders
    loyalty: Loyalty | None
    tickets: Tickets
    first_seen: Utc | None
    last_seen: Utc | None


class Customer(Me):
    """The customer 360. `id` is today's id, whichever id was asked for."""

    trait_details: dict[str, TraitDetail]
    counters: dict[str, Counter] = Field(description="By event name; pages and screens by their type.")
    segments: list[SegmentMembership]
    messages: Messages

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        details = {
            masks.text(principal, name): TraitDetail(
                value=masks.trait(principal, name, detail.value), at=detail.at, source=detail.source
            )
            for name, detail in self.trait_details.items()
        }
        counters = {masks.text(principal, name): counter for name, counter in self.counters.items()}
        return self.model_copy(
            update={"traits": masks.traits(principal, self.traits), "trait_details": details, "counters": counters}
        )


class CustomerItem(BaseModel):
    """A customer in a list."""

    id: UUID
    traits: dict[str, Any]
    first_seen: datetime | None
    last_seen: datetime | None
    events: int

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked."""
        return self.model_copy(update={"traits": masks.traits(principal, self.traits)})


class CustomersSummary(BaseModel):
    """How many there are."""

    customers: int
    events: int
