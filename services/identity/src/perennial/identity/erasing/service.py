"""Erases customers, and keeps what they said before from coming back."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

import structlog
from opentelemetry import metrics

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.gateway import AcceptedEvent
from perennial.common.contracts.identity import CustomerErased
from perennial.common.db import WriteSession
from perennial.common.outbox import emit
from perennial.common.privacy import service as privacy
from perennial.identity import queries
from perennial.identity.erasing import queries as sql
from perennial.identity.traces import Trace

log = structlog.get_logger()
refused = metrics.get_meter("perennial").create_counter(
    "perennial.identity.events.erased", description="Events not taken in: their people were erased afterwards."
)
# What several people use in turn.
DEVICES = frozenset({"device_id", "push_token", "anonymous_id"})


class Wanted(NamedTuple):
    """Whom to erase, and the erasure of which that is a part."""

    erasure_id: UUID
    customer: UUID


class Arrived(Protocol):
    """An event as it has arrived."""

    @property
    def event(self) -> AcceptedEvent: ...


A = TypeVar("A", bound=Arrived)


async def erase(session: WriteSession, wanted: Sequence[Wanted]) -> None:
    """Forget customers, and tell every service whose identifiers they were.

    identity is the first to forget: once this is committed no new event can be attributed to them, so the list that
    it tells is complete. Of a customer that is gone already it says the same again: whoever waits for receipts gets
    them.
    """
    for event in wanted:
        before = await privacy.told(session, event.erasure_id)
        if before is not None:
            await privacy.accept(session, [before])
            await emit(session, before)
            continue
        members = await queries.held(session, [event.customer])
        at = utc_now()
        digests = {bytes(member.digest) for member in members}
        vias = sorted({event.customer, *(member.via for member in members)})
        if digests:
            await sql.bury(session, digests, at)
            await sql.forget_identifiers(session, vias)
        customer = members[0].customer if members else event.customer
        fact = CustomerErased(
            erasure_id=event.erasure_id, customer=customer, vias=vias, at=at,
            digests=sorted(digest.hex() for digest in digests),
        )  # fmt: skip
        await privacy.accept(session, [fact])
        await emit(session, fact)
        log.info("customer.erased", erasure=str(event.erasure_id), identifiers=len(members))


async def admitted(session: WriteSession, read: Sequence[tuple[A, list[Trace]]]) -> list[tuple[A, list[Trace]]]:
    """The events without those that happened before one of their identifiers was erased; they are counted.

    An event of somebody who came back happened later, and is welcome, unless it is imported: it begins a new customer.
    """
    late = await _late(session, read)
    if not late:
        return list(read)
    await sql.count(session, dict(Counter(late.values())))
    refused.add(len(late))
    log.info("events.refused", erased=len(late))
    return [pair for index, pair in enumerate(read) if index not in late]


async def refuses(session: WriteSession, read: Sequence[tuple[A, list[Trace]]]) -> bool:
    """Whether one of the events is refused by now."""
    return bool(await _late(session, read))


async def _late(session: WriteSession, read: Sequence[tuple[A, list[Trace]]]) -> dict[int, bytes]:
    """The events that are refused, by their places, with the identifier because of which."""
    newest = await sql.newest(session)
    doubtful = {
        index: pair
        for index, pair in enumerate(read)
        if newest and (pair[0].event.imported or _when(pair[0]) <= newest)
    }
    if not doubtful:
        return {}
    graves = await sql.found(session, {trace.digest for _, traces in doubtful.values() for trace in traces})
    if not graves:
        return {}
    bearing = [traces for _, traces in doubtful.values() if any(trace.digest in graves for trace in traces)]
    alive = {member.digest for member in await queries.found(session, {one.digest for some in bearing for one in some})}
    because = {index: _because(*pair, graves, alive) for index, pair in doubtful.items()}
    return {index: digest for index, digest in because.items() if digest is not None}


def _because(
    arrival: Arrived, traces: Sequence[Trace], graves: Mapping[bytes, datetime], alive: Collection[bytes]
) -> bytes | None:
    """The erased identifier for which an event is refused; None when it is welcome.

    A list that is imported once more may say that it is of today: nobody comes back by it. Whoever shared nothing but
    a device with the erased one is somebody else, and keeps what is theirs.
    """
    dead = [
        trace for trace in traces
        if trace.digest in graves
        and (_when(arrival) <= graves[trace.digest] or (arrival.event.imported and trace.digest not in alive))
    ]  # fmt: skip
    own = [trace for trace in traces if trace.kind not in DEVICES and trace not in dead and trace.digest in alive]
    if not dead or (own and all(trace.kind in DEVICES for trace in dead)):
        return None
    return dead[0].digest


def _when(arrival: Arrived) -> datetime:
    return min(arrival.event.timestamp, arrival.event.received_at)
