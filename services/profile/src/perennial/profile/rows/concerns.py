"""What a mark is about: the events that a customer did, where nothing else can have changed but when they were seen."""

from typing import NamedTuple

from perennial.common.derive import Concern
from perennial.common.imported import EVENT as IMPORTED

NAMELESS = {"page": "Page Viewed", "screen": "Screen Viewed"}
ANY = "?"  # no event's word looks like it


class Done(NamedTuple):
    """The types of events, and the names by which rules know them."""

    types: frozenset[str]
    names: frozenset[str]


def word(kind: str, filed: str | None) -> str:
    """Of an event of this type, filed under this name.

    Who says something of themselves may change anything, and so may the row of a file, which gives tags.
    """
    name = NAMELESS.get(kind) or (filed if kind == "track" and filed != IMPORTED else None)
    return ANY if name is None else f"{kind}:{name}"


def done(concern: Concern | None) -> Done | None:
    """The events that marks name; None where anything may have changed."""
    if concern is None or ANY in concern:
        return None
    pairs = [word.split(":", 1) for word in concern]
    return Done(frozenset(kind for kind, _ in pairs), frozenset(name for _, name in pairs))
