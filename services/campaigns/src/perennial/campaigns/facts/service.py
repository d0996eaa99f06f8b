"""Keeping what journeys read: all traits, memberships, and the events that some journey names.

A journey published later sees an event's past only as far as it was kept (`interest.since`). What a journey wants to
ask of the past beyond that, it asks of a segment, which remembers everything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from perennial.campaigns.facts import queries
from perennial.campaigns.facts.queries import Interest, Membership
from perennial.campaigns.plans.plan import Plan
from perennial.common.db import WriteSession
from perennial.common.rules.facts import EventFact, record_events

# Quiet hours and a provider that is down prolong a walk beyond its own waits.
SLACK = timedelta(days=7)


@dataclass
class Heard:
    """One thing a customer did; its properties are decoded only if somebody asks for them."""

    id: UUID
    via: UUID
    name: str
    at: datetime
    live: bool
    read: Callable[[], Mapping[str, object]]

    @cached_property
    def properties(self) -> Mapping[str, object]:
        """What the event says."""
        return self.read()


async def keep(session: WriteSession, heard: Sequence[Heard], now: datetime) -> dict[str, Interest]:
    """Write down the events that journeys read, live or not; returns the interests among their names."""
    interests = await queries.interests(session, sorted({item.name for item in heard}))
    kept = [
        EventFact(item.id, item.via, item.name, item.at, item.properties)
        for item in heard
        if item.name in interests and _recent(item.at, interests[item.name], now)
    ]
    await record_events(session, kept)
    return interests


def _recent(at: datetime, interest: Interest, now: datetime) -> bool:
    return interest.kept_for is None or at > now - interest.kept_for


async def take_memberships(session: WriteSession, memberships: Sequence[Membership]) -> None:
    """Take over the state of memberships; the highest version wins, in any order."""
    newest: dict[tuple[UUID, UUID], Membership] = {}
    for item in memberships:
        key = (item.segment_id, item.customer_id)
        if key not in newest or newest[key].version < item.version:
            newest[key] = item
    await queries.put_memberships(session, [newest[key] for key in sorted(newest)])


def wanted_by(plans: Sequence[Plan]) -> dict[str, tuple[timedelta | None, bool]]:
    """The events that these versions read: for how long, and whether they end one of them."""
    wanted: dict[str, tuple[timedelta | None, bool]] = {}
    for plan in plans:
        for condition in plan.conditions.values():
            for name in condition.reads.events:
                _want(wanted, name, condition.reads.look_back, exits=False)
        for name in plan.exit_events:
            _want(wanted, name, plan.waits + SLACK, exits=True)
    return wanted


def _want(wanted: dict[str, tuple[timedelta | None, bool]], name: str, span: timedelta | None, *, exits: bool) -> None:
    known, known_exits = wanted.get(name, (timedelta(), False))
    longest = None if span is None or known is None else max(span + SLACK, known)
    wanted[name] = (longest, exits or known_exits)
