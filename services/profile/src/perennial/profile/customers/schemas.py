"""HTTP bodies of the 360."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.profile.orders.schemas import CustomerOrders

Utc = Annotated[datetime, AfterValidator(lambda value: value.astimezone(UTC))]
AsOf = Annotated[Utc, Field(description="When this was true.")]
Heard = Annotated[Utc | None, Field(description="When the last of this was true; null: nothing was said.")]


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


class Identity(BaseModel):
    """Who this is: what is known of the identifiers, not the identifiers (`/v1/customers/{id}/identity`)."""

    identifiers: dict[str, int] = Field(description="How many of each kind.")
    first_seen: Utc | None
    last_seen: Utc | None
    merged_from: list[UUID] = Field(description="Ids of customers who turned out to be this one.")
    as_of: AsOf


class RecentEvent(BaseModel):
    """One of the last events."""

    id: UUID
    type: str
    name: str | None
    at: Utc
    source: str


class Behaviour(BaseModel):
    """What the customer did."""

    events: int
    last_seen: Utc | None
    sources: list[str] = Field(description="That events came from.")
    counters: dict[str, Counter] = Field(description="By event name; pages and screens by their type.")
    recent: list[RecentEvent] = Field(description="The newest first.")
    as_of: AsOf


class Transactions(CustomerOrders):
    """What the customer bought."""

    as_of: AsOf


class OwnRequest(BaseModel):
    """An open ticket."""

    id: UUID
    type: str | None
    stage: str | None
    opened_at: Utc | None
    as_of: Utc | None


class Request(OwnRequest):
    """An open ticket, as who serves the customer sees it."""

    priority: str | None
    breached: str | None = Field(description="The service level that was missed first.")
    breached_at: Utc | None


class Rating(BaseModel):
    """What the customer gave for a ticket."""

    ticket_id: UUID
    type: str | None
    score: int
    at: Utc


class Reach(BaseModel):
    """Messages by one channel."""

    channel: str
    sent: int
    suppressed: int
    last_sent_at: Utc | None
    last_suppressed_at: Utc | None
    last_reason: str | None = Field(description="Why the last one was suppressed.")


class ServiceSection(BaseModel):
    """What the customer asked for and was told."""

    open: int
    requests: list[Request] = Field(description="Open tickets, the newest first.")
    ratings: list[Rating] = Field(description="The last ones.")
    messages: list[Reach]
    as_of: Heard


class Attributes(BaseModel):
    """What the customer is like. `as_of` is when what is computed, the tags and the stage were derived last."""

    traits: dict[str, TraitDetail]
    computed: dict[str, Any]
    tags: list[str]
    stage: str | None
    as_of: Utc | None


class Expiring(BaseModel):
    """What expires unless it is spent before."""

    points: int
    expires_at: Utc
    as_of: Utc = Field(description="When it was announced; never more than there is by now.")


class Wallet(BaseModel):
    """What a customer has of one currency."""

    balance: int
    pending: int
    expiring: list[Expiring] = Field(default=[], description="What is announced to expire, the soonest first.")


class Loyalty(BaseModel):
    """Points and tier as loyalty last told them."""

    balance: int
    pending: int
    wallets: dict[str, Wallet] = Field(description="By currency: points, growth value, stored credit.")
    tier: str | None
    as_of: AsOf


class Coupon(BaseModel):
    """A coupon or a voucher that the customer has, or that is held for them."""

    id: UUID
    source: str = Field(description="The service that gave it: loyalty, whose mall calls it a redemption.")
    kind: str = Field(description="coupon or voucher")
    name: dict[str, str] = Field(description="By language, as far as it was said.")
    state: str = Field(description="reserved, confirmed or fulfilled, of the mall's.")
    since: Utc = Field(description="When the customer took it.")
    expires_at: Utc | None = Field(description="Until when it is reserved, or good; null: nothing was said.")
    as_of: AsOf


class Coupons(BaseModel):
    """The coupons and vouchers of a customer; what was given back, or has lapsed, is not among them."""

    total: int
    items: list[Coupon] = Field(description="The last ones, the newest first.")
    as_of: Heard


class SegmentMembership(BaseModel):
    """A segment the customer is in."""

    id: UUID
    name: str
    since: Utc
    as_of: Heard


class Journey(BaseModel):
    """A journey the customer is or was on."""

    enrolment_id: UUID
    journey_id: UUID
    started_at: Utc | None
    ended_at: Utc | None
    reason: str | None = Field(description="`completed`, or why it ended before.")
    as_of: Utc | None


class Tickets(BaseModel):
    """Service requests."""

    open: int


class OwnTickets(Tickets):
    """The customer's own service requests."""

    requests: list[OwnRequest] = Field(description="The open ones, the newest first.")


class Messages(BaseModel):
    """What campaigns sent."""

    sent: int


class Consent(BaseModel):
    """What the customer said last of a purpose and channel, and whether it holds."""

    purpose: str
    channel: str = Field(description="`*`: every channel.")
    state: str = Field(description="given, withdrawn or expired")
    at: Utc
    expires_at: Utc | None


class Me(BaseModel):
    """What a customer may see of their own. `links` lead to what they decide of it."""

    id: UUID
    traits: dict[str, Any]
    orders: CustomerOrders
    loyalty: Loyalty | None
    coupons: Coupons
    tickets: OwnTickets
    first_seen: Utc | None
    last_seen: Utc | None
    links: dict[str, str] = Field(description="By what is there: consents, export, erasure.")


class Customer(BaseModel):
    """The customer 360 in its five dimensions, and where the customer stands. `id` is today's id.

    `traits`, `trait_details`, `counters`, `orders`, `tickets` and `messages` repeat parts of the dimensions.
    """

    id: UUID
    first_seen: Utc | None
    last_seen: Utc | None
    identity: Identity
    behaviour: Behaviour
    transactions: Transactions
    service: ServiceSection
    attributes: Attributes
    loyalty: Loyalty | None
    coupons: Coupons
    segments: list[SegmentMembership]
    journeys: list[Journey] = Field(description="Under way, then the last ones.")
    consents: list[Consent]
    traits: dict[str, Any]
    trait_details: dict[str, TraitDetail]
    counters: dict[str, Counter]
    orders: CustomerOrders
    tickets: Tickets
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
        recent = [
            event.model_copy(update={"name": event.name and masks.text(principal, event.name, bare=False)})
            for event in self.behaviour.recent
        ]
        attributes = {
            "traits": details,
            "computed": masks.traits(principal, self.attributes.computed),
            "tags": [masks.text(principal, tag) for tag in self.attributes.tags],
        }
        return self.model_copy(
            update={
                "traits": masks.traits(principal, self.traits),
                "trait_details": details,
                "counters": counters,
                "behaviour": self.behaviour.model_copy(update={"counters": counters, "recent": recent}),
                "attributes": self.attributes.model_copy(update=attributes),
            }
        )


class CustomersSummary(BaseModel):
    """How many there are."""

    customers: int
    events: int
