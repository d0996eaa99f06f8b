"""The table of reactions: what campaigns hears, and what it does about it."""

from collections.abc import Mapping
from functools import partial

from perennial.campaigns.consents import service as consents
from perennial.campaigns.consents.queries import Statement
from perennial.campaigns.enrolments.service import settle_exits, settle_merged, settle_parted
from perennial.campaigns.enrolments.triggers import Joined, hear, join
from perennial.campaigns.facts import service as facts
from perennial.campaigns.facts.queries import Membership
from perennial.campaigns.facts.service import Heard
from perennial.common.contracts.hot import effective_traits, read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.contracts.profile import ConsentsChanged
from perennial.common.contracts.segments import MembershipEntered, MembershipsChanged
from perennial.common.db import WriteSession
from perennial.common.derive import Derivation, Stale
from perennial.common.messaging.reactions import on
from perennial.common.rules.facts import TraitFact, record_traits


async def learn_traits(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """All traits, live or not: templates and rules may read any."""
    await record_traits(
        session,
        [
            TraitFact(event.via, key, value, event.timestamp, event.source, event.message_id)
            for event in events
            for key, value in effective_traits(read_body(event.body)).items()
        ],
    )


async def hear_events(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Whatever a journey may begin with, end by or ask about."""
    await hear(
        session,
        [
            Heard(event.id, event.via, event.name, event.timestamp, event.live, partial(_properties, event))
            for event in events
            if event.name is not None
        ],
    )


def _properties(event: ResolvedEvent) -> Mapping[str, object]:
    return read_body(event.body).properties or {}


async def copy_memberships(session: WriteSession, events: list[MembershipsChanged]) -> None:
    """A copy of who is in which segment, for conditions and for enrolment on request."""
    await facts.take_memberships(
        session,
        [
            Membership(item.segment_id, item.customer, item.member, item.version, item.since)
            for event in events
            for item in event.memberships
        ],
    )


async def join_segments(session: WriteSession, events: list[MembershipEntered]) -> None:
    """Journeys that begin with a segment."""
    joined = [
        Joined(event.id, event.customer, event.segment_id, event.occurred_at, event.version, event.announced)
        for event in events
    ]
    await join(session, joined)


async def take_consents(session: WriteSession, events: list[ConsentsChanged]) -> None:
    """Profile says what customers agreed to or withdrew."""
    said = [
        Statement(item.via, item.purpose, item.channel, item.state, item.at, item.expires_at, item.version)
        for event in events
        for item in event.statements
    ]
    await consents.take(session, said)


async def regroup(session: WriteSession, stale: Stale) -> None:
    """After a merge, what one side did ends the journeys of the other, and no journey is walked twice.

    When they part, either side walks on as if they had never met.
    """
    await settle_parted(session, sorted(stale.live))
    await settle_exits(session, sorted(stale.live))
    await settle_merged(session, sorted(stale.live))


REACTIONS = (
    on(ResolvedEvent, learn_traits, types={"identify"}),
    on(ResolvedEvent, hear_events, types={"track"}),
    on(MembershipsChanged, copy_memberships),
    on(MembershipEntered, join_segments),
    on(ConsentsChanged, take_consents),
)
DERIVATION = Derivation(regroup)
