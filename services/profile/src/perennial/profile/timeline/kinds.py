"""What the timeline holds: the kinds of occurrences, and for how long which data are kept."""

from collections.abc import Mapping
from typing import Final, Literal

from perennial.common import commerce

EventType = Literal["identify", "track", "page", "screen", "group", "alias"]
Kind = Literal[
    "event",
    "message",
    "points",
    "redemption",
    "ticket",
    "segment",
    "tier",
    "journey",
    "identity",
    "stage",
    "tag",
    "consent",
]
DataClass = Literal["behaviour", "transactions", "service", "communication", "lifecycle"]

EVENT: Final = "event"
TRACKED: Final = ("identify", "track", "page", "screen", "group", "alias")
CLASSES: Final[tuple[DataClass, ...]] = ("behaviour", "transactions", "service", "communication", "lifecycle")
OF_TRACKED: Final[tuple[DataClass, ...]] = ("behaviour", "transactions")
KINDS: Final[Mapping[str, DataClass]] = {
    "message": "communication",
    "points": "transactions",
    "redemption": "transactions",
    "ticket": "service",
    "segment": "lifecycle",
    "tier": "lifecycle",
    "journey": "lifecycle",
    "identity": "lifecycle",
    "stage": "lifecycle",
    "tag": "lifecycle",
    "consent": "communication",
}
# The noun of a fact's subject, where the timeline calls it by another name.
NOUNS: Final[Mapping[str, str]] = {
    "membership": "segment",
    "enrolment": "journey",
    "customer": "identity",
    "identifier": "identity",
}


def class_of_event(type_: str, name: str | None) -> DataClass:
    """The data class of a tracking event: what was ordered is kept longer than what was looked at."""
    return "transactions" if type_ == "track" and name in commerce.ORDER_EVENTS else "behaviour"


def types_of(kind: str | None) -> tuple[str, ...]:
    """The stored types that a kind stands for; None: all."""
    if kind is None:
        return (*TRACKED, *KINDS)
    return TRACKED if kind == EVENT else (kind,)


def classes_of(kind: str | None) -> tuple[DataClass, ...]:
    """The data classes in which a kind is found."""
    if kind is None:
        return CLASSES
    return OF_TRACKED if kind == EVENT else (KINDS[kind],)
