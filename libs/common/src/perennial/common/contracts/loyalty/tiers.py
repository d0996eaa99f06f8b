"""What loyalty says of tiers, and of the benefits that tiers and memberships grant."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from pydantic import Field

from perennial.common.contracts.base import CustomerId, Event, Part, Version


class Tier(Part):
    """The tier of one customer."""

    customer: CustomerId
    tier: str
    since: datetime
    version: Version


class TiersChanged(Event):
    """State for whoever shows tiers; live or not."""

    subject: ClassVar[str] = "loyalty.tiers.changed.v1"
    state: ClassVar[bool] = True

    tiers: list[Tier]


class TierChanged(Event):
    """A live event moved a customer to another tier."""

    subject: ClassVar[str] = "loyalty.tier.changed.v1"

    customer: CustomerId
    tier: str
    previous: str | None
    version: Version


class Benefit(Part):
    """What is granted, of which kind, and its value in the field that the kind has."""

    code: str
    kind: str
    percent: Decimal | None = None
    amount: Decimal | None = Field(default=None, description="Orders from then on.")
    points: int | None = None
    hours: int | None = None
    name: str | None = Field(default=None, description="A level, a team, a gift.")


class CustomerBenefits(Part):
    """All that a customer is granted by one origin: a tier, say."""

    customer: CustomerId
    origin: str = Field(description="What grants it; benefits of another origin are said apart.")
    held_by: str = Field(description="The tier's name.")
    benefits: list[Benefit]
    version: Version


class BenefitsChanged(Event):
    """State for whoever grants benefits; live or not."""

    subject: ClassVar[str] = "loyalty.benefits.changed.v1"
    state: ClassVar[bool] = True

    customers: list[CustomerBenefits]


class BenefitGranted(Event):
    """A customer has a benefit now that was not there before, or has it with another value."""

    subject: ClassVar[str] = "loyalty.benefit.granted.v1"

    customer: CustomerId
    origin: str
    held_by: str
    benefit: Benefit
    version: Version


class BenefitRevoked(Event):
    """A customer has a benefit no longer."""

    subject: ClassVar[str] = "loyalty.benefit.revoked.v1"

    customer: CustomerId
    origin: str
    benefit: Benefit
    version: Version
