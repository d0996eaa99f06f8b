"""Decides, once and for all, whose events these are: one transaction for a pull."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog
from opentelemetry import metrics

from perennial.common import faults
from perennial.common.contracts.gateway import STREAM, SUBJECT, AcceptedEvent, EventsAccepted
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession, lock
from perennial.common.ids import digest_uuid, uuid7
from perennial.common.messaging.parked import Origin, Parked
from perennial.identity import queries
from perennial.identity.decisions import queries as sql
from perennial.identity.decisions.joining import Joined, RootsMoved, join
from perennial.identity.decisions.sightings import Sightings
from perennial.identity.erasing import service as erasing
from perennial.identity.graph import Meeting, Member
from perennial.identity.intake import counting
from perennial.identity.intake import queries as intake
from perennial.identity.merges import changes
from perennial.identity.parked import queries as parked_sql
from perennial.identity.parked import rows as parked_rows
from perennial.identity.policy.rules import DEFAULT, Policy
from perennial.identity.suggestions import service as suggestions
from perennial.identity.traces import Reader, Trace
from perennial.identity.vault import Vault

log = structlog.get_logger()
counted = metrics.get_meter("perennial").create_counter(
    "perennial.identity.events", description="Events by what became of them: decided, repeated, republished, parked."
)

HORIZON = timedelta(days=35)
WEEK = timedelta(weeks=1)
TURN_SECONDS = 600  # around the turn of the week one process decides at a time
LONGEST_SECONDS = 300  # so that no transaction reaches across that span

_ENCODER = msgspec.json.Encoder()


class Arrival(NamedTuple):
    """An accepted event and the sequence of its message in INGEST; a replay bears the negative id of its parked row."""

    id: UUID
    seq: int
    source: str
    event: AcceptedEvent

    @classmethod
    def of(cls, accepted: EventsAccepted, seq: int) -> "list[Arrival]":
        """The events of one message."""
        source = accepted.source
        return [cls(digest_uuid(source, event.message_id), seq, source, event) for event in accepted.events]

    def origin(self) -> Origin:
        """The event alone, as a message that can be decided again."""
        return Origin(STREAM, SUBJECT, {}, _ENCODER.encode(EventsAccepted(self.source, [self.event])))


@dataclass(frozen=True)
class Keys:
    """What finds and what seals identifiers, and the policy by which they join."""

    reader: Reader
    vault: Vault
    policy: Policy = DEFAULT

    def under(self, policy: Policy) -> "Keys":
        """The same under another policy."""
        return self if policy is self.policy else Keys(self.reader.under(policy), self.vault, policy)


def week_of(moment: datetime) -> int:
    """The week of a decision, counted from 1970."""
    return int(moment.timestamp() // WEEK.total_seconds())


def _turning(now: datetime) -> bool:
    return week_of(now - timedelta(seconds=TURN_SECONDS)) != week_of(now + timedelta(seconds=TURN_SECONDS))


async def decide(
    session: WriteSession, arrivals: Sequence[Arrival], keys: Keys, now: datetime, sightings: Sightings | None = None
) -> list[ResolvedEvent]:
    """The events to publish, in the order of their arrival. Raises RootsMoved when the transaction must begin again.

    A repeat of what the same message brought is published again: it may not have been, a crash came between. Any
    other repeat is dropped.
    """
    started = time.monotonic()
    if _turning(now):  # a unique index does not reach across partitions
        await lock(session, "identity", "week")
    known = await sql.decided(session, [arrival.id for arrival in arrivals])
    fresh, again = _sort_out(arrivals, known)
    meetings = await _read(session, fresh, keys)
    found = await _look_up(session, meetings, keys.vault)
    if any(not member.version for member in found.values()) and await erasing.refuses(session, meetings):
        raise RootsMoved  # erased between the two looks: what is not in the map any more has a tombstone by now
    faults.point("identity.looked_up")
    joined = await join(
        session, [_meeting(arrival, traces, found) for arrival, traces in meetings], keys.policy, keys.vault
    )
    await _write(session, joined, keys.policy)
    resolved = _resolved(meetings, joined)
    if resolved:
        if time.monotonic() - started > LONGEST_SECONDS:
            raise RootsMoved
        rows = [(event.id, event.via, arrival.seq) for event, (arrival, _) in zip(resolved, meetings, strict=True)]
        if await sql.decide(session, week_of(now), rows) != len(rows):
            raise RootsMoved
        await (sightings or Sightings()).write(session, _seen(meetings, found))
        said = [(arrival.event, event.via) for event, (arrival, _) in zip(resolved, meetings, strict=True)]
        await suggestions.keep(session, said, keys.vault)
    await _measure(session, arrivals, fresh, again, [arrival for arrival, _ in meetings])
    _count(len(arrivals), len(fresh), len(resolved), len(again))
    return await _repeated(session, again, known) + resolved


def _sort_out(arrivals: Sequence[Arrival], known: dict[UUID, tuple[UUID, int]]) -> tuple[list[Arrival], list[Arrival]]:
    fresh: dict[UUID, Arrival] = {}
    again: dict[UUID, Arrival] = {}
    for arrival in arrivals:
        decided = known.get(arrival.id)
        if decided is None:
            fresh.setdefault(arrival.id, arrival)
        elif decided[1] == arrival.seq:
            again.setdefault(arrival.id, arrival)
    return list(fresh.values()), list(again.values())


async def _read(session: WriteSession, fresh: Sequence[Arrival], keys: Keys) -> list[tuple[Arrival, list[Trace]]]:
    """The events with their identifiers; those that belong to nobody, or come too late, are parked with the reason."""
    read: list[tuple[Arrival, list[Trace]]] = []
    refused: list[tuple[Arrival, str]] = []
    for arrival, traces in await erasing.admitted(session, [(one, keys.reader.traces(one.event)) for one in fresh]):
        event = arrival.event
        if not traces:
            refused.append((arrival, "no_identifier: every identifier of the event is blocked or malformed"))
        elif not event.imported and event.received_at - event.timestamp > HORIZON:
            refused.append((arrival, f"too_old: timestamp is more than {HORIZON.days} days before received_at"))
        else:
            read.append((arrival, traces))
    if refused:
        await _refuse(session, refused, keys.vault)
    return read


async def _refuse(session: WriteSession, refused: Sequence[tuple[Arrival, str]], vault: Vault) -> None:
    known = await parked_sql.waiting(session, [item.id for item, _ in refused])
    for item, reason in refused:
        if item.id not in known:
            await intake.add(session, counting.of(f"parked:{parked_rows.code_of(reason)}", [item]))
    await park(session, [Parked(item.origin(), item.id, reason, "") for item, reason in refused], vault)


async def park(session: WriteSession, failed: Sequence[Parked], vault: Vault) -> None:
    """Put events aside, each once however often its message is delivered."""
    counted.add(await parked_rows.park(session, failed, vault), {"outcome": "parked"})


async def _look_up(
    session: WriteSession, meetings: Sequence[tuple[Arrival, list[Trace]]], vault: Vault
) -> dict[bytes, Member]:
    """The map's rows of identifiers by blind index; the missing ones are claimed, in the order of first appearance."""
    wanted: dict[bytes, tuple[Trace, datetime]] = {}
    for arrival, traces in meetings:
        for trace in traces:
            wanted.setdefault(trace.digest, (trace, arrival.event.received_at))
    if not wanted:
        return {}
    found = {member.digest: member for member in await queries.found(session, wanted)}
    if len(found) == len(wanted):
        return found
    claims = [
        sql.Claim(uuid7(), trace.kind, trace.digest, vault.seal(trace.value, trace.digest), at)
        for trace, at in wanted.values()
        if trace.digest not in found
    ]
    mine = await sql.claim(session, claims)
    for item in claims:
        if item.id in mine:
            found[item.digest] = Member(item.id, item.id, 0, item.kind, item.digest, since=item.at)
    lost = [item.digest for item in claims if item.id not in mine]
    if lost:  # somebody else was first, and has committed: the insert waited for it
        found.update((member.digest, member) for member in await queries.found(session, lost))
    return found


def _meeting(arrival: Arrival, traces: Sequence[Trace], found: dict[bytes, Member]) -> Meeting:
    members = [_under(found[trace.digest], trace) for trace in traces]
    event = arrival.event
    return Meeting(arrival.id, arrival.source, event.message_id, event.live, event.received_at, members)


def _under(member: Member, trace: Trace) -> Member:
    return member if trace.rule == trace.kind else member._replace(rule=trace.rule)


async def _write(session: WriteSession, joined: Joined, policy: Policy) -> None:
    graph = joined.graph
    if graph.met_now:
        await sql.meet(session, graph.met_now)
    if graph.shared:
        await sql.share(session, list(graph.shared.values()))
        log.info("identifiers.shared", count=len(graph.shared))
    if joined.new or joined.moved:
        reasons = changes.Reasons(policy.version, graph.attachments, graph.unions, list(graph.shared.values()))
        await changes.record(session, joined.new, joined.moved, reasons)
    if graph.conflicts:
        await sql.count_conflicts(session, [graph.conflicts[key] for key in sorted(graph.conflicts)])
        log.info("conflicts.queued", count=len(graph.conflicts))


def _resolved(meetings: Sequence[tuple[Arrival, list[Trace]]], joined: Joined) -> list[ResolvedEvent]:
    changed = {member.via: member for member in (*joined.new, *joined.moved)}
    resolved = []
    for (arrival, _), member in zip(meetings, joined.speakers, strict=True):
        today = changed.get(member.via, member) if changed else member
        resolved.append(_event(arrival, today.via, today.customer, today.version))
    return resolved


async def _repeated(
    session: WriteSession, again: Sequence[Arrival], known: dict[UUID, tuple[UUID, int]]
) -> list[ResolvedEvent]:
    if not again:
        return []
    vias = {arrival.id: known[arrival.id][0] for arrival in again}
    today = await sql.customers(session, set(vias.values()))
    return [
        _event(arrival, vias[arrival.id], *today[vias[arrival.id]])
        for arrival in again
        if vias[arrival.id] in today  # else it was erased
    ]


def _event(arrival: Arrival, via: UUID, customer: UUID, version: int) -> ResolvedEvent:
    event = arrival.event
    return ResolvedEvent(
        arrival.id, via, customer, version, arrival.source, event.message_id, event.type, event.name, event.timestamp,
        event.received_at, event.live, event.body, event.sent_at, event.imported,
    )  # fmt: skip


def _seen(
    meetings: Sequence[tuple[Arrival, list[Trace]]], found: dict[bytes, Member]
) -> Iterator[tuple[UUID, str, datetime]]:
    for arrival, traces in meetings:
        for trace in traces:
            yield found[trace.digest].via, arrival.source, arrival.event.timestamp


async def _measure(
    session: WriteSession,
    arrivals: Sequence[Arrival],
    fresh: Sequence[Arrival],
    again: Sequence[Arrival],
    taken: Sequence[Arrival],
) -> None:
    """Count by source and hour what the quality of a source is judged by."""
    counts = counting.accepted(taken)
    if len(arrivals) > len(fresh) + len(again):
        counts += counting.of("repeated", arrivals) - counting.of("repeated", [*fresh, *again])
    await intake.add(session, counts)


def _count(arrived: int, fresh: int, decided: int, again: int) -> None:
    for outcome, number in (("decided", decided), ("republished", again), ("repeated", arrived - fresh - again)):
        if number:
            counted.add(number, {"outcome": outcome})
