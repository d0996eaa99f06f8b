"""The verbs of memberships: compute customers, build a segment, reconcile, empty.

A customer is computed in memory from its facts, for every live segment at once; a segment is built by SQL, for every
customer at once. The two evaluators agree, so either may repair the other.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from itertools import islice
from typing import Any, NamedTuple, cast
from uuid import UUID

import structlog
from opentelemetry import metrics
from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError

from perennial.common import rules
from perennial.common.contracts.base import Event
from perennial.common.contracts.segments import Membership, MembershipEntered, MembershipExited, MembershipsChanged
from perennial.common.db import ReadSession, WriteSession
from perennial.common.derive import Stale, mark
from perennial.common.failures import is_infrastructure
from perennial.common.outbox import emit
from perennial.common.rules import Footprint, Rule, View
from perennial.common.rules.facts import load_views
from perennial.common.rules.flip import Flip
from perennial.common.timers import Timer, schedule
from perennial.segments.definitions import queries as definitions
from perennial.segments.memberships import queries

log = structlog.get_logger()
drifted = metrics.get_meter("perennial").create_counter("perennial.segments.drift", description="Repaired memberships.")

FLIP = "flip"
BUILD_SECONDS = 50  # below the connection's own limit, so that the database says which it was
QUERY_CANCELED = "57014"
PER_FACT = 1000


class Segment(NamedTuple):
    """A live segment, ready to be asked."""

    id: UUID
    name: str
    reads: Footprint
    holds: rules.Predicate
    flips: Flip


_compiled: dict[tuple[UUID, int], Segment] = {}


async def live_segments(session: WriteSession) -> list[Segment]:
    """The segments to keep up to date, those that others mention first."""
    rows = {row.id: _compile(row) for row in await definitions.serving(session)}
    graph = {segment.id: segment.reads.segments & rows.keys() for segment in rows.values()}
    return [rows[segment_id] for segment_id in TopologicalSorter(graph).static_order()]


def _compile(row: Row[Any]) -> Segment:
    key = (row.id, row.version)
    if key not in _compiled:
        if len(_compiled) > 10_000:
            _compiled.clear()
        rule: Rule = rules.parse(row.rule)
        _compiled[key] = Segment(row.id, row.name, rules.footprint(rule), rules.compile(rule), rules.flips(rule))
    return _compiled[key]


async def compute(session: WriteSession, stale: Stale) -> None:
    """Bring the memberships of these customers up to date, and set the timers at which the clock may change them."""
    now = datetime.now(UTC)
    segments = await live_segments(session)
    before = await queries.of_customers(session, [*stale.live, *stale.gone])
    names = {segment.id: segment.name for segment in segments}
    leaving = [(segment, customer) for customer in stale.gone for segment in before.get(customer, ())]
    entering: list[tuple[UUID, UUID]] = []
    timers: list[Timer] = []
    if segments and stale.live:
        views = await _views(session, segments, stale, now)
        for customer, view in views.items():
            inside = before.get(customer, set())
            for segment in segments:
                held = segment.holds(view, now)
                _set(view, segment.id, member=held)
                if held and segment.id not in inside:
                    entering.append((segment.id, customer))
                elif not held and segment.id in inside:
                    leaving.append((segment.id, customer))
                timers += _timer(segment, customer, view, now)
    await _move(session, entering, leaving, names, stale.live, now)
    await schedule(session, timers)


async def _views(session: WriteSession, segments: list[Segment], stale: Stale, now: datetime) -> dict[UUID, View]:
    reads = segments[0].reads
    for segment in segments[1:]:
        reads |= segment.reads
    return await load_views(session, list(stale.live), reads, now)


def _set(view: View, segment: UUID, *, member: bool) -> None:
    """What a segment says is there for the segments that mention it; `load_views` makes the set for this view alone."""
    known = cast("set[UUID]", view.segments)
    known.add(segment) if member else known.discard(segment)


def _timer(segment: Segment, customer: UUID, view: View, now: datetime) -> list[Timer]:
    due = segment.flips(view, now)
    if due is None:
        return []
    return [
        Timer(FLIP, f"{segment.id}:{customer}", due, {"customer": str(customer)}, partition=customer.bytes[-1] % 16)
    ]


async def flip(session: WriteSession, timers: list[Timer]) -> None:
    """The clock has come to where an answer may change: compute those customers."""
    await mark(session, {UUID(timer.payload["customer"]) for timer in timers}, live=True)


async def _move(
    session: WriteSession,
    entering: Sequence[tuple[UUID, UUID]],
    leaving: Sequence[tuple[UUID, UUID]],
    names: dict[UUID, str],
    live: dict[UUID, bool],
    now: datetime,
) -> None:
    """Write who enters and who leaves, and say so; single facts only where something live was the cause."""
    entered = await queries.enter(session, entering, now) if entering else ()
    left = await queries.leave(session, leaving, now) if leaving else ()
    changes = [_state(row, names, now, member=True) for row in entered]
    changes += [_state(row, names, now, member=False) for row in left]
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


def _state(row: Row[Any], names: dict[UUID, str], now: datetime, *, member: bool) -> Membership:
    return Membership(
        segment_id=row.segment_id,
        segment_name=names.get(row.segment_id, ""),
        customer=row.customer_id,
        member=member,
        since=now,
        version=row.version,
    )


async def build_next(session: WriteSession) -> bool:
    """Build the segment that has waited longest: by SQL for all, then customer by customer behind it for the timers."""
    row = await definitions.next_to_build(session)
    if row is None:
        return False
    now = datetime.now(UTC)
    try:
        async with session.begin_nested():
            await session.execute(text(f"SET LOCAL statement_timeout = '{BUILD_SECONDS}s'"))
            moved = await _repair(session, row.id, row.name, rules.parse(row.rule), now)
    except DBAPIError as error:
        if is_infrastructure(error) and getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        log.exception("segment.failed", segment_id=str(row.id), version=row.version)
        await definitions.settle(session, row.id, "failed", str(error.orig)[:500], now)
        return True
    await definitions.settle(session, row.id, "live", None, now)
    await queries.mark_everyone(session)
    log.info("segment.built", segment_id=str(row.id), version=row.version, moved=moved)
    return True


async def reconcile(session: WriteSession) -> int:
    """Compare every live segment with what SQL says and report: the drift must be zero.

    The customers that differ are computed again under their locks; a mark that waits may be all that is behind it.
    """
    total = 0
    for row in await definitions.serving(session):
        missing, wrong = await queries.drift(session, row.id, rules.to_sql(rules.parse(row.rule), datetime.now(UTC)))
        if missing or wrong:
            log.warning("segment.drifted", segment_id=str(row.id), missing=len(missing), wrong=len(wrong))
            await mark(session, {*missing, *wrong}, live=False)
        total += len(missing) + len(wrong)
    drifted.add(total)
    return total


async def _repair(session: WriteSession, segment_id: UUID, name: str, rule: Rule, now: datetime) -> int:
    missing, wrong = await queries.drift(session, segment_id, rules.to_sql(rule, now))
    entering = [(segment_id, customer) for customer in missing]
    leaving = [(segment_id, customer) for customer in wrong]
    await _move(session, entering, leaving, {segment_id: name}, {}, now)
    return len(missing) + len(wrong)


async def empty(session: WriteSession, segment_id: UUID, name: str) -> None:
    """Everybody leaves an archived segment."""
    leaving = [(segment_id, customer) for customer in await queries.members(session, segment_id)]
    await _move(session, (), leaving, {segment_id: name}, {}, datetime.now(UTC))


async def is_member(session: ReadSession, segment_id: UUID, customer: UUID) -> bool:
    """Whether a customer is listed as a member now."""
    return segment_id in (await queries.of_customers(session, [customer])).get(customer, set())
