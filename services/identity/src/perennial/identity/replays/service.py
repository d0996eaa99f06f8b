"""Listing what could not be decided, and deciding it after the fix."""

from collections.abc import Sequence
from typing import cast

import msgspec

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.contracts.gateway import STREAM, EventsAccepted
from perennial.common.failures import is_infrastructure
from perennial.common.messaging import parked
from perennial.common.messaging.parked import ParkedRow
from perennial.common.runtime import Runtime
from perennial.identity.decider import Decider
from perennial.identity.decisions import queries as decisions
from perennial.identity.decisions.service import Arrival
from perennial.identity.parked import rows
from perennial.identity.publisher import Publisher
from perennial.identity.settings import IdentitySettings, vault_of
from perennial.identity.vault import Vault

_DECODER = msgspec.json.Decoder(EventsAccepted)


OPERATOR = Principal("service", "operate", frozenset())


async def waiting(runtime: Runtime, after: int) -> list[ParkedRow]:
    """Some parked events, oldest first, opened; for the operators' command."""
    async with runtime.database.read() as session:
        return await rows.listing(session, _vault(runtime), after)


def _vault(runtime: Runtime) -> Vault:
    return vault_of(cast("IdentitySettings", runtime.settings))


async def replay(runtime: Runtime, ids: Sequence[int], principal: Principal) -> tuple[list[int], dict[int, str]]:
    """Decide and publish parked events: those that went through, and why others did not.

    A crash between the decision and the mark leaves the row parked; the next replay publishes it again.
    """
    decider, publisher = Decider(runtime), Publisher(runtime)
    done: list[int] = []
    failed: dict[int, str] = {}
    async with runtime.database.read() as session:
        found = await rows.bodies(session, _vault(runtime), ids)
    for parked_id, body in found:
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


async def replay_or_raise(runtime: Runtime, ids: Sequence[int]) -> int:
    """As `replay`, for the operators' command: how many went through. Raises ValueError when one did not."""
    done, failed = await replay(runtime, ids, OPERATOR)
    for said in failed.values():
        raise ValueError(said)
    return len(done)


async def _mark(runtime: Runtime, parked_id: int, arrivals: Sequence[Arrival]) -> None:
    async with runtime.database.write() as session:
        ids = [arrival.id for arrival in arrivals]
        if set(ids) - set(await decisions.decided(session, ids)):
            raise ValueError("it still cannot be decided, see its error")
        await parked.mark_replayed(session, parked_id)
