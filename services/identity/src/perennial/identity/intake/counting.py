"""Counts what became of the events of one pull: once per event, a few comparisons."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from perennial.common.contracts.gateway import AcceptedEvent
from perennial.identity.intake.queries import Place

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


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
    """Events that were decided, and how late they were, unless they were imported.

    Neighbours come from one source within one hour, so that both are looked at anew only where they change.
    """
    counts: Counter[Place] = Counter()
    source, hour, until = "", 0, _NEVER
    since = until
    for arrival in arrivals:
        event = arrival.event
        received = event.received_at
        if arrival.source != source or not since <= received < until:
            source, hour = arrival.source, int(received.timestamp()) // 3600
            since = datetime.fromtimestamp(hour * 3600, UTC)
            until = since + HOUR
        counts[source, hour, "accepted"] += 1
        if not event.imported:
            counts[source, hour, "timed"] += 1
            lag = received - event.timestamp
            if lag >= HOUR:
                counts[source, hour, "late_7d" if lag >= WEEK else "late_1d" if lag >= DAY else "late_1h"] += 1
    return counts


def of(outcome: str, arrivals: Iterable[Arrived]) -> Counter[Place]:
    """Events that all had one outcome."""
    return Counter((one.source, int(one.event.received_at.timestamp()) // 3600, outcome) for one in arrivals)
