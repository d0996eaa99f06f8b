"""A batch of customers asked for every segment that serves, in memory.

Customers and segments go by their places in lists: a UUID hashes slowly, and this is done a hundred times a customer.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple, cast
from uuid import UUID

from perennial.common import rules
from perennial.common.rules import Footprint, View
from perennial.common.rules.flip import Flip


class Segment(NamedTuple):
    """A segment that serves, ready to be asked. A list has no predicate: it says itself who is on it.

    Without `flips` the clock changes nobody's membership.
    """

    id: UUID
    name: str
    reads: Footprint
    holds: rules.Predicate | None
    flips: Flip | None


class Asked:
    """Who is to enter and who to leave, as (segment, customer), and when the clock may next change something."""

    def __init__(
        self, segments: Sequence[Segment], views: Mapping[UUID, View], before: Mapping[UUID, AbstractSet[UUID]],
        now: datetime,
    ) -> None:  # fmt: skip
        self.entering: list[tuple[UUID, UUID]] = []
        self.leaving: list[tuple[UUID, UUID]] = []
        places = {segment.id: place for place, segment in enumerate(segments)}
        self._now, self._customers, self._views = now, list(views), list(views.values())
        self._before = [
            {places[segment] for segment in before.get(customer, ()) if segment in places} for customer in views
        ]
        self._due: list[datetime | None] = [None] * len(views)
        self._mentioned = {inner for segment in segments for inner in segment.reads.segments}

    def ask(self, place: int, segment: Segment, listed: Mapping[UUID, AbstractSet[UUID]]) -> None:
        """One segment, those that its rule mentions having been asked."""
        holds, now = segment.holds, self._now
        if holds is None:
            answers = [segment.id in listed.get(customer, ()) for customer in self._customers]
        else:
            answers = [holds(view, now) for view in self._views]
        if segment.id in self._mentioned:
            self._show(segment.id, answers)
        for customer, is_in, before in zip(self._customers, answers, self._before, strict=True):
            if is_in != (place in before):
                (self.entering if is_in else self.leaving).append((segment.id, customer))
        if segment.flips:
            self._wait(segment.flips, answers)

    def due(self) -> dict[UUID, datetime]:
        """The customers for whom the clock may change something, and when."""
        return {customer: at for customer, at in zip(self._customers, self._due, strict=True) if at is not None}

    def _show(self, segment: UUID, answers: Sequence[bool]) -> None:
        """To the segments that mention it; `load_views` makes the sets for these views alone."""
        for view, is_in in zip(self._views, answers, strict=True):
            known = cast("set[UUID]", view.segments)
            known.add(segment) if is_in else known.discard(segment)

    def _wait(self, flips: Flip, answers: Sequence[bool]) -> None:
        now, due = self._now, self._due
        for n, view in enumerate(self._views):
            at = flips(view, now, answers[n])
            if at is not None and ((known := due[n]) is None or at < known):
                due[n] = at
