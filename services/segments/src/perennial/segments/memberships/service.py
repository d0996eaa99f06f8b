"""The verbs of memberships: compute customers, tell what has changed, empty.

A customer is computed in memory from its facts, for every segment that serves at once; a segment is built by SQL, for
every customer at once. The two evaluators agree, so either may repair the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from perennial.common import identity_map, rules
from perennial.common.contracts.segments import Membership
from perennial.common.db import ReadSession, WriteSession
from perennial.common.derive import Concern, Stale, mark, spell
from perennial.common.ids import partition_of
from perennial.common.outbox import say
from perennial.common.packs import Packed
from perennial.common.rules import Rule, RuleError, Sql
from perennial.common.rules.changes.flip import timed
from perennial.common.rules.changes.rolling import rolling_alone
from perennial.common.rules.changes.turning import stays, turns
from perennial.common.rules.evaluation.footprint import NOTHING
from perennial.common.timers import Timer, cancel, schedule
from perennial.segments.definitions import queries as definitions
from perennial.segments.facts import concerns
from perennial.segments.lists import queries as lists
from perennial.segments.memberships import batch, known, moving, queries
from perennial.segments.memberships.batch import FLIP, JUST_BEFORE
from perennial.segments.memberships.serving import Segment, Serving
from perennial.segments.memberships.telling import PER_FACT as PER_FACT  # noqa: PLC0414 (builds say it in such parts, too)
from perennial.segments.memberships.telling import Changed, facts

log = structlog.get_logger()

AT_ONCE = 5000
LAG = timedelta(seconds=5)  # a pipeline that is so far behind is no more so than always


_compiled: dict[tuple[UUID, int], Segment | None] = {}
_latest: list[tuple[str, Serving]] = []  # as long as the same serve


async def live_segments(session: ReadSession) -> Serving:
    """The segments to keep up to date.

    A rule that a later version has written and this one cannot read is left alone: it must not hold up all the others.
    """
    versions = await known.serving(session)
    if not _latest or _latest[0][0] != versions:
        rows = await definitions.serving(session)
        readable = {row.id: segment for row in rows if (segment := _compile(row)) is not None}
        _latest[:] = [(known.spelled(rows), Serving(readable))]
    return _latest[0][1]


def _compile(row: Row[Any]) -> Segment | None:
    if row.rule is None:
        return Segment(row.id, row.name, NOTHING, None, None)
    key = (row.id, row.version)
    if key not in _compiled:
        if len(_compiled) > 10_000:
            _compiled.clear()
        _compiled[key] = _read(row)
    segment = _compiled[key]
    return segment and segment._replace(name=row.name)


def _read(row: Row[Any]) -> Segment | None:
    try:
        rule: Rule = rules.parse(row.rule)
    except RuleError as error:
        log.error("segment.unreadable", segment_id=str(row.id), error=str(error))  # noqa: TRY400 (no fault of ours)
        return None
    flips, windows = (rules.flips(rule), rolling_alone(rule)) if timed(rule) else (None, None)
    reads = rules.footprint(rule)
    # Another segment may turn either way; a trait, too: of those no turn is known.
    known = {} if reads.segments else {concerns.of_event(name): turn for name, turn in turns(rule).items()}
    return Segment(row.id, row.name, reads, rules.compile(rule), flips, windows, known, stays(rule))


def held(row: Row[Any], now: datetime) -> Sql:
    """A query of the customers who belong in a segment, by the rule in the row."""
    return lists.held(row.id) if row.rule is None else rules.to_sql(rules.parse(row.rule), now)


async def compute(session: WriteSession, stale: Stale) -> None:
    """Bring the memberships of these customers up to date, and set the timers at which the clock may change them.

    A customer of whom is known what has changed is asked for the segments that this concerns, and for no others.
    """
    now = datetime.now(UTC)
    serving = await live_segments(session)
    known_by = concerns.moments(stale.said, stale.live)
    for customer, at in (await known.overdue(session, FLIP, stale.gone, now) if stale.gone else {}).items():
        known_by[customer] = min(at - JUST_BEFORE, known_by.get(customer, now))
    about = {**stale.concerns, **{key: concerns.without_moments(stale.concerns.get(key)) for key in known_by}}
    plans = {customer: serving.plan(about.get(customer)) for customer in stale.live}
    concerned = [customer for customer, plan in plans.items() if plan.places or plan.all]
    leaving = await known.all_of(session, stale.gone) if stale.gone else []
    entering: list[tuple[UUID, UUID]] = []
    due: dict[UUID, datetime] = {}
    idle = list(stale.gone)
    if concerned:
        listed = await lists.of_customers(session, concerned) if None in serving.predicates else {}
        known_of = await batch.known_of(session, serving, concerned, plans, known_by, now)
        for asked in await batch.ask(session, serving, known_of, listed, now):
            entering += asked.entering
            leaving += asked.leaving
            due |= asked.due()
            idle += asked.idle()
    live = await known.live_meanwhile(session, {customer for _, customer in (*entering, *leaving)}, stale.live)
    await move(session, entering, leaving, serving.names, live, now)
    if due:
        await _set_timers(session, due)
    if idle:
        await cancel(session, FLIP, [str(customer) for customer in idle])


async def _set_timers(session: WriteSession, due: Mapping[UUID, datetime]) -> None:
    """One timer a customer. It waits for the partitions of all its identifiers, one behind the other."""
    vias = await identity_map.vias_of(session, due) if due else {}
    timers = []
    for customer, at in due.items():
        first, *others = sorted({partition_of(via) for via in vias.get(customer, [customer])})
        timers.append(Timer(FLIP, str(customer), at, {"customer": str(customer), "then": others}, first))
    await schedule(session, timers)


async def flip(session: WriteSession, timers: list[Timer]) -> None:
    """The clock has come to where an answer may change: compute those customers, once all they said was heard.

    Where the pipeline lags they are computed for the moment that it has come to: their next timer may lie before now.
    """
    now, waiting, ready = datetime.now(UTC), list[Timer](), dict[Concern, set[UUID]]()
    for timer in timers:
        passed = _passed(timer, now)
        if timer.payload.get("then"):
            waiting.append(_onward(timer, passed))
        else:
            concern = concerns.CLOCK if now - passed < LAG else concerns.by_then(concerns.CLOCK, passed)
            ready.setdefault(concern, set()).add(UUID(timer.payload["customer"]))
    await schedule(session, waiting)
    for concern, customers in ready.items():
        await mark(session, customers, live=True, concern=spell(concern))


def _passed(timer: Timer, now: datetime) -> datetime:
    """How far the pipeline had come in whichever of the customer's partitions it lagged the most."""
    before = timer.payload.get("passed")
    return min(timer.passed or now, datetime.fromisoformat(before) if before else now)


def _onward(timer: Timer, passed: datetime) -> Timer:
    first, *others = timer.payload["then"]
    return replace(timer, partition=first, payload={**timer.payload, "then": others, "passed": passed.isoformat()})


async def move(
    session: WriteSession,
    entering: Sequence[tuple[UUID, UUID]],
    leaving: Sequence[tuple[UUID, UUID]],
    names: Mapping[UUID, str],
    live: Mapping[UUID, bool],
    now: datetime,
) -> None:
    """Write who enters and who leaves, and say so; single facts only where something live was the cause."""
    left = await moving.leave(session, leaving, now) if leaving else ()

    async def told(entered: Sequence[Changed]) -> Packed:
        return await facts(entered, left, names, live, now)

    await say(session, await moving.enter(session, entering, now, told) if entering else await told(()))


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
