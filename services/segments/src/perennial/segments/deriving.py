"""What is derived of a customer: where they stand, then the segments, whose rules may ask where they stand."""

from perennial.common.db import WriteSession
from perennial.common.derive import Stale
from perennial.segments.memberships import building
from perennial.segments.memberships import service as memberships
from perennial.segments.rfm.standings import service as standings


async def derive(session: WriteSession, stale: Stale) -> None:
    """Bring these customers up to date."""
    await memberships.compute(session, await standings.follow(session, stale))
    await building.note(session, [*stale.live, *stale.gone])
