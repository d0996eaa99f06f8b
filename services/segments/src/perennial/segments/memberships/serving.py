"""The segments that are kept up to date, and which of them a change concerns."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from graphlib import TopologicalSorter
from operator import or_
from typing import NamedTuple
from uuid import UUID

from perennial.common import rules
from perennial.common.derive import Concern
from perennial.common.rules import Footprint
from perennial.common.rules.flip import Flip
from perennial.common.rules.footprint import NOTHING
from perennial.common.rules.rolling import Rolling
from perennial.segments.facts import concerns

MOST_PLANS = 10_000


class Segment(NamedTuple):
    """A segment that serves, ready to be asked. A list has no predicate: it says itself who is on it.

    Without `flips` the clock changes nobody's membership. With `rolling` it does so only when one of these events
    leaves its window.
    """

    id: UUID
    name: str
    reads: Footprint
    holds: rules.Predicate | None
    flips: Flip | None
    rolling: Rolling | None = None


class Plan(NamedTuple):
    """What a customer is asked: segments by their places, in order, and what they read together.

    `rolling` are the windows of those segments that change by nothing else. `timed`: all that the clock can change is
    among them. `all`: every segment is, and nothing is known of before.
    """

    places: tuple[int, ...]
    reads: Footprint
    rolling: Rolling
    timed: bool
    all: bool = False


class Serving:
    """Segments in an order in which those that others mention come first, and plans by what has changed."""

    def __init__(self, known: Mapping[UUID, Segment]) -> None:
        graph = {segment.id: segment.reads.segments & known.keys() for segment in known.values()}
        self.segments = [known[segment] for segment in TopologicalSorter(graph).static_order()]
        self.predicates = {segment.holds for segment in self.segments}
        self._timed = {place for place, segment in enumerate(self.segments) if segment.flips}
        self.everything = self._plan(range(len(self.segments)))._replace(all=True)
        self._askers = _askers(self.segments)
        self._of_word: dict[str, set[int]] = {}
        for place, segment in enumerate(self.segments):
            for word in _words(segment):
                self._of_word.setdefault(word, set()).add(place)
        self._plans: dict[Concern, Plan] = {}

    def plan(self, concern: Concern | None) -> Plan:
        """Whom to ask when this has changed, those who mention them included; None: anything may have."""
        if concern is None:
            return self.everything
        known = self._plans.get(concern)
        if known is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            asked = self._and_askers(place for word in concern for place in self._of_word.get(word, ()))
            known = self._plans[concern] = self._plan(sorted(asked))
        return known

    def _and_askers(self, places: Iterable[int]) -> set[int]:
        found, waiting = set[int](), deque(places)
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting.extend(self._askers[place])
        return found

    def _plan(self, places: Sequence[int]) -> Plan:
        reads = reduce(or_, (self.segments[place].reads for place in places), NOTHING)
        windows = {window for place in places for window in self.segments[place].rolling or ()}
        return Plan(tuple(places), reads, tuple(sorted(windows)), timed=self._timed.issubset(places))


def _askers(segments: Sequence[Segment]) -> list[list[int]]:
    """By place the places of the segments whose rules mention it."""
    places = {segment.id: place for place, segment in enumerate(segments)}
    found: list[list[int]] = [[] for _ in segments]
    for place, segment in enumerate(segments):
        for mentioned in segment.reads.segments & places.keys():
            found[places[mentioned]].append(place)
    return found


def _words(segment: Segment) -> set[str]:
    words = {concerns.of_event(name) for name in segment.reads.events}
    words |= {concerns.of_trait(key) for key in segment.reads.traits}
    return words | concerns.CLOCK if segment.flips else words
