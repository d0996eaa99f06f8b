"""What a rule is asked about: one customer (or a ticket's fields as traits) at one moment."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One event of a customer; properties are JSON, numbers best as Decimal."""

    at: datetime
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class View:
    """One customer's facts: trait keys as `trait_key` spells them, the events of each name oldest first.

    Events may lie in the future of the moment asked about; they count once it has come. Whoever gives it a
    `memo`, and then changes neither traits nor events, has leaves that rules have in common answer once a moment.
    """

    customer_id: UUID
    traits: Mapping[str, object] = field(default_factory=dict)
    events: Mapping[str, Sequence[Occurrence]] = field(default_factory=dict)
    segments: AbstractSet[UUID] = frozenset()
    memo: dict[int, object] | None = field(default=None, compare=False, repr=False)
