"""Rules that the clock changes only when an event leaves its window: a quick look whether one soon does."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from perennial.common.rules.evaluation.conditions import changes
from perennial.common.rules.evaluation.footprint import leaves
from perennial.common.rules.grammar.criteria import When
from perennial.common.rules.grammar.nodes import OnElement, OnEvent, OnSequence, OnTrait, Rule, Step
from perennial.common.rules.view import Occurrence

Rolling = tuple[tuple[str, timedelta], ...]
_at = attrgetter("at")


def rolling_alone(rule: Rule) -> Rolling | None:
    """The events of a rule and the windows that they leave, where nothing else makes it change; else None."""
    found: set[tuple[str, timedelta]] = set()
    for leaf in leaves(rule):
        parts: Sequence[OnEvent | Step]
        if isinstance(leaf, OnEvent):
            parts, plain = [leaf], not leaf.beside and not isinstance(leaf.measure[1], When)
        elif isinstance(leaf, OnSequence):
            parts, plain = leaf.steps, True
        elif isinstance(leaf, OnTrait | OnElement) and changes(leaf):
            return None
        else:
            continue
        if not plain or not isinstance(leaf.within, timedelta) or any(changes(i) for part in parts for i in part.where):
            return None
        found |= {(part.event, leaf.within) for part in parts}
    return tuple(sorted(found)) or None


def still(
    events: Mapping[str, Sequence[Occurrence]], rolling: Iterable[tuple[str, timedelta]], now: datetime, until: datetime
) -> bool:
    """Whether no event begins to count or leaves its window before `until`."""
    asked: str | None = None
    found: Sequence[Occurrence] = ()
    for name, within in rolling:
        if name != asked:  # they are in order
            asked, found = name, events.get(name, ())
            if found and found[-1].at > now:
                return False
        if found:
            first = bisect_right(found, now - within, key=_at)
            if first < len(found) and found[first].at + within < until:
                return False
    return True
