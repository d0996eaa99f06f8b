"""The words by which a mark says what it is about: events by name, traits by key, orders, the clock."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from perennial.common.derive import Concern

ORDERS = frozenset({"orders"})
CLOCK = frozenset({"clock"})


def of_event(name: str) -> str:
    """An event of this name happened. No other word looks like it."""
    return f"e:{name}"


def of_trait(key: str) -> str:
    """The trait with this key, as `trait_key` spells it, was said."""
    return f"t:{key}"


def by_then(concern: Concern, at: datetime) -> Concern:
    """The clock, and that nothing is known for certain of what has happened since then."""
    return concern | {f"@{at.isoformat()}"}


def without_moments(concern: Concern | None) -> Concern | None:
    """What has changed, whenever it was."""
    return concern and frozenset([word for word in concern if word[0] != "@"])


def moments(said: Mapping[UUID, Concern], customers: Iterable[UUID]) -> dict[UUID, datetime]:
    """The earliest moment up to which all is known, of the customers whose marks name one."""
    found = {}
    for customer in customers:
        words = said.get(customer, ())
        if words and not CLOCK.isdisjoint(words):
            named = [datetime.fromisoformat(word[1:]) for word in words if word[0] == "@"]
            if named:
                found[customer] = min(named)
    return found
