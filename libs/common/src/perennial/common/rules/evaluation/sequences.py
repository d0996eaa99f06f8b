"""Events one after the other, in memory: how far a customer came, and by which occurrences."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from perennial.common.rules.evaluation.events import Found, happened, times
from perennial.common.rules.grammar.nodes import OnSequence
from perennial.common.rules.view import Occurrence, View


@dataclass(frozen=True, slots=True)
class Reached:
    """The occurrences that end a chain of the first steps, oldest first.

    Each goes on from the latest before it, so that of all chains to it this one began last: whatever must come soon
    after something else came as soon as can be.
    """

    ends: Found
    began: Sequence[datetime]
    before: Sequence[int]


Chains = Callable[[View, datetime], list[Reached]]


def chains(rule: OnSequence, zone: tzinfo | None = None) -> Chains:
    """What each step reached, down to the first that nothing reaches."""
    finds = [happened(step.event, rule.within, step.where, zone) for step in rule.steps]

    def reach(view: View, now: datetime) -> list[Reached]:
        reached: list[Reached] = []
        for step, find in zip(rule.steps, finds, strict=True):
            found = find(view, now)
            if not reached:
                reached.append(Reached(found, [item.at for item in found], ()))
            else:
                reached.append(_after(reached[-1], found, step.within))
            if not reached[-1].ends:
                break
        return reached

    return reach


def happens(rule: OnSequence, zone: tzinfo | None = None) -> Callable[[View, datetime], bool]:
    """Whether the whole was completed in time: what `chains` and `completed` say, without how it came to that."""
    steps = [(step.within, times(step.event, rule.within, step.where, zone)) for step in rule.steps]
    names, span = {step.event for step in rule.steps}, rule.span
    rolling = rule.within if isinstance(rule.within, timedelta) else None

    def holds(view: View, now: datetime) -> bool:
        events, start = view.events, now - rolling if rolling else None
        for name in names:
            known = events.get(name)
            if not known or (start and known[-1].at <= start):
                return False
        ends: list[datetime] | None = None
        began: list[datetime] = []
        for within, find in steps:
            found = find(view, now)
            if ends is None:
                ends = began = found
            elif not found or found[-1] <= ends[0]:
                return False
            else:
                ends, began = _reached(ends, began, found, within)
            if not ends:
                return False
        return span is None or any(at - start <= span for at, start in zip(ends or (), began, strict=True))

    return holds


def _reached(
    before: Sequence[datetime], began: Sequence[datetime], found: Sequence[datetime], within: timedelta | None
) -> tuple[list[datetime], list[datetime]]:
    """When the step that follows was made, and when those chains began; see `Reached`."""
    ends, starts, place, last = [], [], -1, len(before) - 1
    for at in found:
        while place < last and before[place + 1] < at:
            place += 1
        if place >= 0 and (within is None or at - before[place] <= within):
            ends.append(at)
            starts.append(began[place])
    return ends, starts


def completed(rule: OnSequence, reached: Sequence[Reached]) -> list[int]:
    """The places of the occurrences that complete the whole in time."""
    if len(reached) < len(rule.steps):
        return []
    last, span = reached[-1], rule.span
    return [n for n, item in enumerate(last.ends) if span is None or item.at - last.began[n] <= span]


def furthest(rule: OnSequence, reached: Sequence[Reached]) -> tuple[int, tuple[Occurrence, ...]]:
    """How many steps were made, and the latest occurrences that made them, newest first."""
    made = [step for step in reached if step.ends]
    whole = completed(rule, reached)
    if len(made) == len(rule.steps) and not whole:
        made.pop()
    found: list[Occurrence] = []
    place = whole[-1] if whole else -1
    for step in reversed(made):
        found.append(step.ends[place])
        place = step.before[place] if step.before else 0
    return len(made), tuple(found)


def _after(before: Reached, found: Found, within: Any) -> Reached:
    times = [item.at for item in before.ends]
    ends, began, places = [], [], []
    for item in found:
        place = bisect_left(times, item.at) - 1
        if place >= 0 and (within is None or item.at - times[place] <= within):
            ends.append(item)
            began.append(before.began[place])
            places.append(place)
    return Reached(ends, began, places)
