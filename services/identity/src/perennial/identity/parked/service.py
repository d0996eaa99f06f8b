"""Listing what could not be decided, and deciding it after the fix."""

from collections.abc import Sequence

import msgspec

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.contracts.gateway import STREAM, EventsAccepted
from perennial.common.db import ReadSession
from perennial.common.failures import is_infrastructure
from perennial.common.messaging import parked
from perennial.common.messaging.parked import ParkedRow
from perennial.common.runtime import Runtime
from perennial.identity.decider import Decider
from perennial.identity.decisions import queries as decisions
from perennial.identity.decisions.service import Arrival
from perennial.identity.parked import queries
from perennial.identity.publisher import Publisher

_DECODER = msgspec.json.Decoder(EventsAccepted)


async def waiting(session: ReadSession, after: int, limit: int) -> list[ParkedRow]:
    """Parked events, oldest first."""
    return await parked.listing(session, after, limit)


async def replay(runtime: Runtime, ids: Sequence[int], principal: Principal) -> tuple[list[int], dict[int, str]]:
    """Decide and publish parked events: those that went through, and why others did not.

    A crash between the decision and the mark leaves the row parked; the next replay publishes it again.
    """
    decider, publisher = Decider(runtime), Publisher(runtime)
    done: list[int] = []
    failed: dict[int, str] = {}
    async with runtime.database.read() as session:
        rows = await queries.bodies(session, ids)
    for parked_id, body in rows:
        try:
            arrivals = Arrival.of(_DECODER.decode(body), -parked_id)
            await publisher.send(await decider.decide_together(arrivals))
            await _mark(runtime, parked_id, arrivals)
            done.append(parked_id)
        except Exception as error:
            if is_infrastructure(error):
                raise
            failed[parked_id] = str(error)
    async with runtime.database.write() as session:
        await audit.record(session, principal, "parked.replayed", STREAM, {"replayed": done, "failed": list(failed)})
    return done, failed


async def _mark(runtime: Runtime, parked_id: int, arrivals: Sequence[Arrival]) -> None:
    async with runtime.database.write() as session:
        ids = [arrival.id for arrival in arrivals]
        if set(ids) - set(await decisions.decided(session, ids)):
            raise ValueError("it still cannot be decided, see its error")
        await parked.mark_replayed(session, parked_id)
