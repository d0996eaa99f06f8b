"""The segments that are kept up to date, and which of them a change concerns."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from graphlib import TopologicalSorter
from operator import or_
from typing import Any, NamedTuple
from uuid import UUID

from perennial.common import rules
from perennial.common.db.arrays import array
from perennial.common.derive import Concern
from perennial.common.rules import Footprint
from perennial.common.rules.changes.flip import Flip
from perennial.common.rules.changes.rolling import Rolling
from perennial.common.rules.changes.turning import Turn
from perennial.common.rules.evaluation.footprint import NOTHING
from perennial.segments.facts import concerns

MOST_PLANS = 10_000


class Segment(NamedTuple):
    """A segment that serves, ready to be asked. A list has no predicate: it says itself who is on it.

    Without `flips` the clock changes nobody's membership. With `rolling` it does so only when one of these events
    leaves its window. `turns`: which way more of these events can turn the answer, by the words of `concerns`.
    `stays`: the answer that the clock cannot change where nothing is to come: who has not done it has not later.
    """

    id: UUID
    name: str
    reads: Footprint
    holds: rules.Predicate | None
    flips: Flip | None
    rolling: Rolling | None = None
    turns: Mapping[str, Turn] = {}
    stays: bool | None = None


class Plan(NamedTuple):
    """What a customer is asked: segments by their places, in order, and what they read together.

    `rolling` are the windows of those segments that change by nothing else. `timed`: all that the clock can change is
    among them. `all`: every segment is, and nothing is known of before. Sets of places are bits of integers: `asked`
    has those of `places`, `rising` those whom nobody can leave by what has changed, `falling` whom nobody can enter.
    """

    places: tuple[int, ...]
    reads: Footprint
    rolling: Rolling
    timed: bool
    asked: int
    rising: int = 0
    falling: int = 0
    all: bool = False


class Serving:
    """Segments in an order in which those that others mention come first, and plans by what has changed."""

    def __init__(self, known: Mapping[UUID, Segment]) -> None:
        graph = {segment.id: segment.reads.segments & known.keys() for segment in known.values()}
        self.segments = [known[segment] for segment in TopologicalSorter(graph).static_order()]
        self.names = {segment.id: segment.name for segment in self.segments}
        self.mentioned = {inner for segment in self.segments for inner in segment.reads.segments}
        self.spelled = array([segment.id for segment in self.segments])
        self.predicates = {segment.holds for segment in self.segments}
        self._timed = bits(place for place, segment in enumerate(self.segments) if segment.flips)
        self._alike = _alike(self.segments)
        self._together: dict[int, tuple[Footprint, Rolling]] = {}
        self._narrow: dict[int, Plan] = {}
        self.everything = self._plan(range(len(self.segments)))._replace(all=True)
        self._askers = _askers(self.segments)
        self._words = [_words(segment) for segment in self.segments]
        self._of_word: dict[str, set[int]] = {}
        for place, words in enumerate(self._words):
            for word in words:
                self._of_word.setdefault(word, set()).add(place)
        self._plans: dict[Concern, Plan] = {}

    def plan(self, concern: Concern | None) -> Plan:
        """Whom to ask when this has changed, those who mention them included; None: anything may have."""
        if concern is None:
            return self.everything
        known = self._plans.get(concern)
        if known is None:
            asked = sorted(self._and_askers(place for word in concern for place in self._of_word.get(word, ())))
            turns = [self._turn(place, concern) for place in asked]
            rising, falling = (
                bits(place for place, found in zip(asked, turns, strict=True) if found is turn)
                for turn in (Turn.RISING, Turn.FALLING)
            )
            known = self._plan(asked)._replace(rising=rising, falling=falling)
            _remember(self._plans, concern, known)
        return known

    def narrow(self, plan: Plan, before: int) -> Plan:
        """The same without the segments whose answer what has changed cannot turn, for a customer of these places.

        Who is in, and can only be in all the longer, is not asked; nor is their timer, which is never too late.
        """
        asked = plan.asked & ~(plan.rising & before | plan.falling & ~before)
        if asked == plan.asked or plan.all:
            return plan
        known = self._narrow.get(asked)
        if known is None:
            known = self._plan([place for place in plan.places if asked >> place & 1])
            _remember(self._narrow, asked, known)
        return known

    def _turn(self, place: int, concern: Concern) -> Turn:
        turns = self.segments[place].turns
        found = {turns.get(word, Turn.EITHER) for word in concern & self._words[place]}
        return found.pop() if len(found) == 1 else Turn.EITHER

    def _and_askers(self, places: Iterable[int]) -> set[int]:
        found, waiting = set[int](), deque(places)
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting.extend(self._askers[place])
        return found

    def _plan(self, places: Sequence[int]) -> Plan:
        asked = bits(places)
        users = bits(n for n, (_, _, alike) in enumerate(self._alike) if alike & asked)
        known = self._together.get(users)
        if known is None:
            used = [(reads, rolling) for n, (reads, rolling, _) in enumerate(self._alike) if users >> n & 1]
            windows = {window for _, rolling in used for window in rolling or ()}
            known = reduce(or_, (reads for reads, _ in used), NOTHING), tuple(sorted(windows))
            _remember(self._together, users, known)
        return Plan(tuple(places), *known, timed=not self._timed & ~asked, asked=asked)


def bits(places: Iterable[int]) -> int:
    """A set of places as an integer."""
    return sum(1 << place for place in set(places))


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    if len(known) >= MOST_PLANS:
        known.clear()
    known[key] = value


def _alike(segments: Sequence[Segment]) -> list[tuple[Footprint, Rolling | None, int]]:
    """What segments read, and the places of those that read the same."""
    found: dict[tuple[Footprint, Rolling | None], int] = {}
    for place, segment in enumerate(segments):
        key = (segment.reads, segment.rolling)
        found[key] = found.get(key, 0) | 1 << place
    return [(*key, places) for key, places in found.items()]


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
