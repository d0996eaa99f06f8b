"""What a rule reads: all that must be loaded to answer it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from perennial.common.rules.calendar.windows import Calendar
from perennial.common.rules.calendar.zones import TRAITS as ZONES
from perennial.common.rules.evaluation.conditions import on_calendar
from perennial.common.rules.grammar.criteria import Amount, Beside, When
from perennial.common.rules.grammar.nodes import (
    AllOf,
    AnyOf,
    InSegment,
    Not,
    OnElement,
    OnEvent,
    OnSequence,
    OnTrait,
    Rule,
    Step,
)
from perennial.common.rules.values.paths import parse_path, trait_path


@dataclass(frozen=True, slots=True)
class Footprint:
    """Trait keys, event names, segments; events older than `look_back` do not matter (None: all do).

    `detailed` are the events whose properties matter; of the others it is enough to know when they happened. `parts`
    are the properties that matter, as (event, name); of a detailed event without any, all do.
    """

    traits: frozenset[str]
    events: frozenset[str]
    segments: frozenset[UUID]
    look_back: timedelta | None
    detailed: frozenset[str] = frozenset()
    parts: frozenset[tuple[str, str]] = frozenset()

    def __or__(self, other: "Footprint") -> "Footprint":
        """What two rules read together."""
        spans = (self.look_back, other.look_back)
        return Footprint(
            self.traits | other.traits,
            self.events | other.events,
            self.segments | other.segments,
            None if None in spans else max(span for span in spans if span is not None),
            self.detailed | other.detailed,
            self.parts | other.parts if self.whole() == other.whole() else self._parts(other),
        )

    def whole(self) -> frozenset[str]:
        """The events all of whose properties matter."""
        return self.detailed.difference(event for event, _ in self.parts)

    def _parts(self, other: "Footprint") -> frozenset[tuple[str, str]]:
        whole = self.whole() | other.whole()
        return frozenset(part for part in self.parts | other.parts if part[0] not in whole)

    def in_detail(self) -> "Footprint":
        """The same with every event's properties, for whoever wants to show them."""
        return replace(self, detailed=self.events, parts=frozenset())


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


def placed(rule: Rule, pointer: str = "") -> Iterator[tuple[str, Rule]]:
    """The rules without rules inside, each with where it stands."""
    match rule:
        case AllOf() | AnyOf():
            name = "all" if isinstance(rule, AllOf) else "any"
            for place, inner in enumerate(rule.rules):
                yield from placed(inner, f"{pointer}/{name}/{place}")
        case Not():
            yield from placed(rule.rule, f"{pointer}/not")
        case _:
            yield pointer, rule


def _reads(leaf: Rule) -> Footprint:
    match leaf:
        case OnTrait() | OnElement():
            key = trait_path(leaf.trait if isinstance(leaf, OnTrait) else leaf.property)[0]
            return replace(NOTHING, traits=frozenset({key}).union(ZONES if on_calendar(leaf) else ()))
        case OnEvent():
            return _event(leaf)
        case OnSequence():
            names = frozenset(step.event for step in leaf.steps)
            parts = _named(leaf.steps)
            local = isinstance(leaf.within, Calendar) or any(on_calendar(item) for s in leaf.steps for item in s.where)
            return _of_events(names, parts, local=local, look_back=_look_back(leaf.within))
        case InSegment():
            return replace(NOTHING, segments=frozenset({leaf.segment}))
        case _:
            return NOTHING


def _event(leaf: OnEvent) -> Footprint:
    wanted, beside, look_back = leaf.measure[1], leaf.beside, _look_back(leaf.within)
    names = {leaf.event, *(other.event for _, other in beside)}
    parts = _named([leaf, *(other for _, other in beside)])
    if isinstance(wanted, Amount):
        parts |= {(leaf.event, _head(wanted.property))}
    local = (
        isinstance(leaf.within, Calendar)
        or (isinstance(wanted, When) and on_calendar(wanted))
        or any(on_calendar(item) for item in leaf.where)
        or any(on_calendar(other) for _, other in beside)
    )
    if look_back is not None:
        look_back += max((other.within for name, other in beside if name.endswith("preceded_by")), default=timedelta())
    return _of_events(frozenset(names), parts, local=local, look_back=look_back)


def _of_events(
    names: frozenset[str], parts: frozenset[tuple[str, str]], *, local: bool, look_back: timedelta | None
) -> Footprint:
    detailed = frozenset(event for event, _ in parts)
    return Footprint(frozenset(ZONES if local else ()), names, frozenset(), look_back, detailed, parts)


def _named(described: Iterable[OnEvent | Beside | Step]) -> frozenset[tuple[str, str]]:
    """The properties that conditions name, by event."""
    return frozenset((one.event, _head(item.property)) for one in described for item in one.where)


def _head(path: str) -> str:
    return parse_path(path)[0].name or ""


def _look_back(within: timedelta | Calendar | None) -> timedelta | None:
    return within.look_back if isinstance(within, Calendar) else within
