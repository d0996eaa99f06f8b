"""What a rule reads: all that must be loaded to answer it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from perennial.common.rules.calendars import Calendar
from perennial.common.rules.conditions import on_calendar
from perennial.common.rules.criteria import Amount, When
from perennial.common.rules.nodes import AllOf, AnyOf, InSegment, Not, OnElement, OnEvent, OnSequence, OnTrait, Rule
from perennial.common.rules.paths import trait_path
from perennial.common.rules.zones import TRAITS as ZONES


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
        case OnTrait() | OnElement():
            key = trait_path(leaf.trait if isinstance(leaf, OnTrait) else leaf.property)[0]
            return replace(NOTHING, traits=frozenset({key}).union(ZONES if on_calendar(leaf) else ()))
        case OnEvent():
            return _event(leaf)
        case OnSequence():
            names = frozenset(step.event for step in leaf.steps)
            detailed = frozenset(step.event for step in leaf.steps if step.where)
            local = isinstance(leaf.within, Calendar) or any(on_calendar(item) for s in leaf.steps for item in s.where)
            return Footprint(_zones(local), names, frozenset(), _look_back(leaf.within), detailed)
        case InSegment():
            return replace(NOTHING, segments=frozenset({leaf.segment}))
        case _:
            return NOTHING


def _event(leaf: OnEvent) -> Footprint:
    wanted, beside, look_back = leaf.measure[1], leaf.beside, _look_back(leaf.within)
    names = {leaf.event, *(other.event for _, other in beside)}
    detailed = {other.event for _, other in beside if other.where}
    if leaf.where or isinstance(wanted, Amount):
        detailed.add(leaf.event)
    local = (
        isinstance(leaf.within, Calendar)
        or (isinstance(wanted, When) and on_calendar(wanted))
        or any(on_calendar(item) for item in leaf.where)
        or any(on_calendar(other) for _, other in beside)
    )
    if look_back is not None:
        look_back += max((other.within for name, other in beside if name.endswith("preceded_by")), default=timedelta())
    return Footprint(_zones(local), frozenset(names), frozenset(), look_back, frozenset(detailed))


def _look_back(within: timedelta | Calendar | None) -> timedelta | None:
    return within.look_back if isinstance(within, Calendar) else within


def _zones(local: bool) -> frozenset[str]:  # noqa: FBT001 (a word for the traits, or for none)
    return frozenset(ZONES if local else ())
