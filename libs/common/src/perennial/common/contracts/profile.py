"""What profile says: a customer's traits changed."""

from typing import Any, ClassVar

from perennial.common.contracts.base import CustomerId, Event, Via, personal


class TraitsChanged(Event):
    """A live event changed traits of a customer; a value of null cleared the trait."""

    subject: ClassVar[str] = "profile.traits.changed.v1"

    via: Via
    customer: CustomerId
    traits: dict[str, Any] = personal("traits", description="Only the traits that changed.")
