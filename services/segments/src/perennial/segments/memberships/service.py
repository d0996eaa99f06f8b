"""The verbs of memberships: compute customers, tell what has changed, empty.

A customer is computed in memory from its facts, for every segment that serves at once; a segment is built by SQL, for
every customer at once. The two evaluators agree, so either may repair the other.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from opentelemetry import metrics
from sqlalchemy import Row

from perennial.common import identity_map, rules
from perennial.common.contracts.base import Event
from perennial.common.contracts.segments import Membership, MembershipEntered, MembershipExited, MembershipsChanged
from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.sessions import ASIDE
from perennial.common.derive import Stale, mark
from perennial.common.ids import partition_of
from perennial.common.outbox import emit
from perennial.common.rules import Rule, RuleError, Sql, View
from perennial.common.rules.facts import load_views
from perennial.common.rules.flip import timed
from perennial.common.rules.footprint import NOTHING
from perennial.common.timers import Timer, cancel, schedule
from perennial.segments.definitions import queries as definitions
from perennial.segments.lists import queries as lists
from perennial.segments.memberships import queries
from perennial.segments.memberships.asking import Asked, Segment

log = structlog.get_logger()
spent = metrics.get_meter("perennial").create_counter(
    "perennial.segments.spent", unit="s", description="CPU seconds of rules, by segment."
)

FLIP = "flip"
PER_FACT = 1000
AT_ONCE = 5000
JUST_BEFORE = timedelta(microseconds=1)
SLOW_SECONDS = 20.0  # of CPU, for one rule and one batch of customers: a hundred rules take a tenth of one


_compiled: dict[tuple[UUID, int], Segment] = {}


async def live_segments(session: ReadSession) -> list[Segment]:
    """The segments to keep up to date, those that others mention first.

    A rule that a later version has written and this one cannot read is left alone: it must not hold up all the others.
    """
    rows = {row.id: segment for row in await definitions.serving(session) if (segment := _compile(row)) is not None}
    graph = {segment.id: segment.reads.segments & rows.keys() for segment in rows.values()}
    return [rows[segment_id] for segment_id in TopologicalSorter(graph).static_order()]


def _compile(row: Row[Any]) -> Segment | None:
    if row.rule is None:
        return Segment(row.id, row.name, NOTHING, None, None)
    key = (row.id, row.version)
    if key not in _compiled:
        if len(_compiled) > 10_000:
            _compiled.clear()
        try:
            rule: Rule = rules.parse(row.rule)
        except RuleError as error:
            log.error("segment.unreadable", segment_id=str(row.id), error=str(error))  # noqa: TRY400 (no fault of ours)
            return None
        flips = rules.flips(rule) if timed(rule) else None
        _compiled[key] = Segment(row.id, row.name, rules.footprint(rule), rules.compile(rule), flips)
    return _compiled[key]


def held(row: Row[Any], now: datetime) -> Sql:
    """A query of the customers who belong in a segment, by the rule in the row."""
    return lists.held(row.id) if row.rule is None else rules.to_sql(rules.parse(row.rule), now)


async def compute(session: WriteSession, stale: Stale) -> None:
    """Bring the memberships of these customers up to date, and set the timers at which the clock may change them."""
    now = datetime.now(UTC)
    segments = await live_segments(session)
    before = await queries.of_customers(session, [*stale.live, *stale.gone])
    names = {segment.id: segment.name for segment in segments}
    entering: list[tuple[UUID, UUID]] = []
    leaving = [(segment, customer) for customer in stale.gone for segment in before.get(customer, ())]
    due: dict[UUID, datetime] = {}
    if segments and stale.live:
        has_lists = any(segment.holds is None for segment in segments)
        listed = await lists.of_customers(session, stale.live) if has_lists else {}
        clocks = await _clocks(session, stale, now)
        views = await _views(session, segments, stale, min(clocks))
        for moment, customers in clocks.items():
            asked = Asked(segments, {customer: views[customer] for customer in customers}, before, moment)
            await _ask(session, segments, asked, listed, len(customers))
            entering += asked.entering
            leaving += asked.leaving
            due |= asked.due()
    await move(session, entering, leaving, names, stale.live, now)
    await _set_timers(session, due)
    await cancel(session, FLIP, [str(customer) for customer in (*stale.gone, *(stale.live.keys() - due.keys()))])


async def _clocks(session: WriteSession, stale: Stale, now: datetime) -> dict[datetime, list[UUID]]:
    """Customers by the moment for which they are asked: now, or just before a timer of theirs that should have fired.

    Such a timer waits for what the pipeline still holds: else somebody would leave whom a waiting purchase keeps.
    """
    overdue = await queries.overdue(session, FLIP, stale.live, now)
    clocks: dict[datetime, list[UUID]] = {}
    for customer in stale.live:
        at = overdue.get(customer)
        clocks.setdefault(now if at is None else at - JUST_BEFORE, []).append(customer)
    return clocks


async def _ask(
    session: WriteSession, segments: list[Segment], asked: Asked, listed: Mapping[UUID, AbstractSet[UUID]],
    customers: int,
) -> None:  # fmt: skip
    for place, segment in enumerate(segments):
        began = time.thread_time()
        asked.ask(place, segment, listed)
        await _check_pace(session, segment, time.thread_time() - began, customers)
        await asyncio.sleep(0)  # heartbeats go on


async def _views(session: WriteSession, segments: list[Segment], stale: Stale, now: datetime) -> dict[UUID, View]:
    reads = NOTHING
    for segment in segments:
        reads |= segment.reads
    return await load_views(session, list(stale.live), reads, now)


async def _check_pace(session: WriteSession, segment: Segment, seconds: float, customers: int) -> None:
    """A rule that holds up all the others serves no longer: its owner is told, the others go on."""
    spent.add(seconds, {"segment": str(segment.id)})
    if seconds > SLOW_SECONDS and not session.info.get(ASIDE):
        log.error("segment.suspended", segment_id=str(segment.id), seconds=seconds, customers=customers)
        said = f"too slow to be kept up: {seconds:.0f} s of computing for {customers} customers"
        await definitions.suspend(session, segment.id, said)


async def _set_timers(session: WriteSession, due: Mapping[UUID, datetime]) -> None:
    """One timer a customer. It waits for the partitions of all its identifiers, one behind the other."""
    vias = await identity_map.vias_of(session, due) if due else {}
    timers = []
    for customer, at in due.items():
        first, *others = sorted({partition_of(via) for via in vias.get(customer, [customer])})
        timers.append(Timer(FLIP, str(customer), at, {"customer": str(customer), "then": others}, first))
    await schedule(session, timers)


async def flip(session: WriteSession, timers: list[Timer]) -> None:
    """The clock has come to where an answer may change: compute those customers, once all they said was heard."""
    waiting = [timer for timer in timers if timer.payload.get("then")]
    await schedule(session, [_onward(timer) for timer in waiting])
    ready = {UUID(timer.payload["customer"]) for timer in timers if not timer.payload.get("then")}
    await mark(session, ready, live=True)


def _onward(timer: Timer) -> Timer:
    first, *others = timer.payload["then"]
    return replace(timer, partition=first, payload={**timer.payload, "then": others})


async def move(
    session: WriteSession,
    entering: Sequence[tuple[UUID, UUID]],
    leaving: Sequence[tuple[UUID, UUID]],
    names: Mapping[UUID, str],
    live: Mapping[UUID, bool],
    now: datetime,
) -> None:
    """Write who enters and who leaves, and say so; single facts only where something live was the cause."""
    entered = await queries.enter(session, entering, now) if entering else ()
    left = await queries.leave(session, leaving, now) if leaving else ()
    changes = [state(row, names, now, member=True) for row in entered]
    changes += [state(row, names, now, member=False) for row in left]
    facts: list[Event] = [MembershipsChanged(memberships=part) for part in _parts(changes)]
    for change in changes:
        if live.get(change.customer):
            said = MembershipEntered if change.member else MembershipExited
            facts.append(
                said(
                    segment_id=change.segment_id,
                    segment_name=change.segment_name,
                    customer=change.customer,
                    version=change.version,
                    occurred_at=now,
                )
            )
    await emit(session, *facts)


def _parts(changes: list[Membership]) -> Iterator[list[Membership]]:
    remaining = iter(changes)
    while part := list(islice(remaining, PER_FACT)):
        yield part


def state(row: Row[Any], names: Mapping[UUID, str], at: datetime, *, member: bool) -> Membership:
    """How things stand with one membership that has changed."""
    return Membership(
        segment_id=row.segment_id,
        segment_name=names.get(row.segment_id, ""),
        customer=row.customer_id,
        member=member,
        since=at,
        version=row.version,
    )


async def empty(session: WriteSession, segment_id: UUID, name: str) -> None:
    """Everybody leaves an archived segment; of very many the first, and a job sees to the others."""
    leaving = [(segment_id, customer) for customer in await queries.members(session, segment_id, AT_ONCE)]
    await move(session, (), leaving, {segment_id: name}, {}, datetime.now(UTC))


async def is_member(session: ReadSession, segment_id: UUID, customer: UUID) -> bool:
    """Whether a customer is listed as a member now."""
    return segment_id in (await queries.of_customers(session, [customer])).get(customer, set())
