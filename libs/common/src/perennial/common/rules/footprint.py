"""What a rule reads: all that must be loaded to answer it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from perennial.common.rules.nodes import AllOf, AnyOf, InSegment, Not, OnEvent, OnTrait, Rule
from perennial.common.rules.paths import trait_path


@dataclass(frozen=True, slots=True)
class Footprint:
    """Trait keys, event names, segments; events older than `look_back` do not matter (None: all do).

    `detailed` are the events whose properties matter; of the others it is enough to know when they happened.
    """

    traits: frozenset[str]
    events: frozenset[str]
    segments: frozenset[UUID]
    look_back: timedelta | None
    detailed: frozenset[str] = frozenset()

    def __or__(self, other: "Footprint") -> "Footprint":
        """What two rules read together."""
        spans = (self.look_back, other.look_back)
        return Footprint(
            self.traits | other.traits,
            self.events | other.events,
            self.segments | other.segments,
            None if None in spans else max(span for span in spans if span is not None),
            self.detailed | other.detailed,
        )

    def in_detail(self) -> "Footprint":
        """The same with every event's properties, for whoever wants to show them."""
        return replace(self, detailed=self.events)


AMOUNTS = frozenset({"sum", "average", "min", "max"})
NOTHING = Footprint(frozenset(), frozenset(), frozenset(), timedelta())


def footprint(rule: Rule) -> Footprint:
    """Everything that the rule reads, whatever the customer."""
    reads = NOTHING
    for leaf in leaves(rule):
        reads |= _reads(leaf)
    return reads


def leaves(rule: Rule) -> Iterator[Rule]:
    """The rules without rules inside."""
    match rule:
        case AllOf() | AnyOf():
            for inner in rule.rules:
                yield from leaves(inner)
        case Not():
            yield from leaves(rule.rule)
        case _:
            yield rule


def _reads(leaf: Rule) -> Footprint:
    match leaf:
        case OnTrait():
            return Footprint(frozenset({trait_path(leaf.trait)[0]}), frozenset(), frozenset(), timedelta())
        case OnEvent():
            names = frozenset({leaf.event})
            detailed = names if leaf.where or leaf.measure[0] in AMOUNTS else frozenset()
            return Footprint(frozenset(), names, frozenset(), leaf.within, detailed)
        case InSegment():
            return Footprint(frozenset(), frozenset(), frozenset({leaf.segment}), timedelta())
        case _:
            return NOTHING
