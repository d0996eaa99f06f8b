"""How often something happened, of rules that ask for nothing else: nothing needs to be gathered for it."""

from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime, timedelta
from operator import attrgetter
from typing import cast

from perennial.common.rules.calendar.windows import Calendar
from perennial.common.rules.evaluation.conditions import bounds, passes
from perennial.common.rules.grammar.criteria import Bounds
from perennial.common.rules.grammar.nodes import OnEvent
from perennial.common.rules.view import View

_at = attrgetter("at")


def counted(rule: OnEvent) -> Callable[[View, datetime], bool] | None:
    """Whether it happened often enough, of a rule that asks for nothing else: nothing needs to be gathered for it."""
    name, within = rule.event, rule.within
    measures, wanted = rule.measure
    if measures != "count" or rule.where or rule.beside or isinstance(within, Calendar):
        return None
    often = _at_least(cast("Bounds", wanted))
    if often is not None and within:
        return _often(name, within, *often)
    hold, never = bounds(cast("Bounds", wanted)), bounds(cast("Bounds", wanted))(0, 1)

    def holds(view: View, now: datetime) -> bool:
        found = view.events.get(name)
        if not found:
            return never
        stop = len(found) if found[-1].at <= now else bisect_right(found, now, key=_at)
        start = bisect_right(found, now - within, hi=stop, key=_at) if within else 0
        return hold(stop - start, 1)

    return holds


def _at_least(limits: Bounds) -> tuple[int, bool] | None:
    """How often, and whether it is to have happened so often; None where the bounds say more than that."""
    given = limits.chosen("property")
    edges = passes(limits)
    if given in (["gt"], ["gte"], ["lt"], ["lte"]) and len(edges) == 1:
        return edges[0], given[0] in {"gt", "gte"}
    return (1, False) if given == ["eq"] and limits.eq == 0 else None


def _often(name: str, within: timedelta, times: int, wanted: bool) -> Callable[[View, datetime], bool]:  # noqa: FBT001 (an answer)
    """By the one occurrence on which it depends."""

    def holds(view: View, now: datetime) -> bool:
        found = view.events.get(name)
        if not found:
            return not wanted
        stop = len(found) if found[-1].at <= now else bisect_right(found, now, key=_at)
        return (stop >= times and found[stop - times].at > now - within) is wanted

    return holds
