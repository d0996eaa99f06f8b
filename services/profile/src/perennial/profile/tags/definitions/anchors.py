"""What must be there for a rule to hold at all: of a hundred rules a customer's facts touch a few.

Where none of a rule's anchors is there, it holds neither now nor at any time the clock may bring: absent facts have no
time at which they begin or cease to count.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

from perennial.common.rules import Rule, View
from perennial.common.rules.evaluation.conditions import bounds
from perennial.common.rules.grammar.criteria import Bounds
from perennial.common.rules.grammar.nodes import AllOf, AnyOf, OnEvent, OnTrait
from perennial.common.rules.values.paths import trait_path

T = TypeVar("T")
ABSENT_HOLDS = frozenset({"is_not", "not_in", "not_contains"})
TRAIT, EVENT = "trait", "event"

Anchor = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Index(Generic[T]):
    """Things by the anchors of their rules; those without one are always asked."""

    always: Sequence[tuple[int, T]]
    by_anchor: Mapping[Anchor, Sequence[tuple[int, T]]]

    def __bool__(self) -> bool:
        return bool(self.always or self.by_anchor)

    def touched(self, view: View) -> list[T]:
        """Those that may hold, in their order."""
        found = dict(self.always)
        for name in view.events:
            found.update(self.by_anchor.get((EVENT, name), ()))
        for name in view.traits:
            found.update(self.by_anchor.get((TRAIT, name), ()))
        return [found[place] for place in sorted(found)]


def index(rules: Sequence[tuple[T, Rule]]) -> Index[T]:
    """An index of things, each with its rule."""
    always: list[tuple[int, T]] = []
    by_anchor: dict[Anchor, list[tuple[int, T]]] = {}
    for place, (thing, rule) in enumerate(rules):
        found = anchors(rule)
        if found is None:
            always.append((place, thing))
        for anchor in found or ():
            by_anchor.setdefault(anchor, []).append((place, thing))
    return Index(always, by_anchor)


def anchors(rule: Rule) -> frozenset[Anchor] | None:
    """Facts of which one must be there; None where the rule may hold without any."""
    match rule:
        case AllOf():
            found = [inner for part in rule.rules if (inner := anchors(part)) is not None]
            return min(found, key=_cost, default=None)
        case AnyOf():
            parts = [anchors(part) for part in rule.rules]
            return None if None in parts else frozenset[Anchor]().union(*(part for part in parts if part))
        case OnTrait():
            absent = rule.operator in ABSENT_HOLDS or (rule.operator == "exists" and rule.operand is False)
            return None if absent else frozenset({(TRAIT, trait_path(rule.trait)[0])})
        case OnEvent():
            return None if _holds_of_nothing(rule) else frozenset({(EVENT, rule.event)})
        case _:
            return None


def _holds_of_nothing(rule: OnEvent) -> bool:
    """Counts and a sum of nothing are 0; nothing has no average, least, greatest, first or last."""
    name, wanted = rule.measure
    return name in {"count", "distinct", "sum"} and isinstance(wanted, Bounds) and bounds(wanted)(Decimal(0), 1)


def _cost(found: Collection[Anchor]) -> tuple[int, int]:
    """Events first: traits such as counted orders are there for everybody."""
    return sum(kind == TRAIT for kind, _ in found), len(found)
