"""Counts what became of the events of one pull: once per event, a few comparisons."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from perennial.common.contracts.gateway import AcceptedEvent
from perennial.identity.intake.queries import Place

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)


class Arrived(Protocol):
    """An event and its source."""

    @property
    def source(self) -> str:
        """Where it came from."""
        ...

    @property
    def event(self) -> AcceptedEvent:
        """What the gateway accepted."""
        ...


def accepted(arrivals: Iterable[Arrived]) -> Counter[Place]:
    """Events that were decided, and how late they were, unless they were imported."""
    counts: Counter[Place] = Counter()
    for arrival in arrivals:
        event = arrival.event
        source, hour = arrival.source, int(event.received_at.timestamp()) // 3600
        counts[source, hour, "accepted"] += 1
        if not event.imported:
            counts[source, hour, "timed"] += 1
            lag = event.received_at - event.timestamp
            if lag >= HOUR:
                counts[source, hour, "late_7d" if lag >= WEEK else "late_1d" if lag >= DAY else "late_1h"] += 1
    return counts


def of(outcome: str, arrivals: Iterable[Arrived]) -> Counter[Place]:
    """Events that all had one outcome."""
    return Counter((one.source, int(one.event.received_at.timestamp()) // 3600, outcome) for one in arrivals)
