"""What a rule is asked about: one customer (or a ticket's fields as traits) at one moment."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

import msgspec


class Occurrence(msgspec.Struct, frozen=True, gc=False):
    """One event of a customer; properties are JSON, numbers best as Decimal."""

    at: datetime
    properties: Mapping[str, object] = {}


class View(msgspec.Struct, frozen=True):
    """One customer's facts: trait keys as `trait_key` spells them, the events of each name oldest first.

    Events may lie in the future of the moment asked about; they count once it has come. Whoever gives it a
    `memo`, and then changes neither traits nor events, has leaves that rules have in common answer once a moment.
    """

    customer_id: UUID
    traits: Mapping[str, object] = {}
    events: Mapping[str, Sequence[Occurrence]] = {}
    segments: AbstractSet[UUID] = frozenset()
    memo: dict[int, object] | None = None
