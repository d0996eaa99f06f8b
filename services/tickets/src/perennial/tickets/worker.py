"""The table of reactions: what tickets hears, and which verb answers."""

from perennial.common.contracts.loyalty import TiersChanged
from perennial.common.contracts.segments import MembershipsChanged
from perennial.common.db import WriteSession
from perennial.common.messaging import on
from perennial.tickets.customers import service as customers


async def keep_tiers(session: WriteSession, events: list[TiersChanged]) -> None:
    """For dispatch by tier."""
    said = [(item.customer, item.tier, item.version) for event in events for item in event.tiers]
    await customers.keep_tiers(session, said)


async def keep_memberships(session: WriteSession, events: list[MembershipsChanged]) -> None:
    """For dispatch by segment."""
    said = [
        (item.customer, item.segment_id, item.member, item.version) for event in events for item in event.memberships
    ]
    await customers.keep_memberships(session, said)


REACTIONS = (on(TiersChanged, keep_tiers), on(MembershipsChanged, keep_memberships))
