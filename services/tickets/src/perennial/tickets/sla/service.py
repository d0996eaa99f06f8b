"""The verbs of service levels: start clocks, and let them follow their ticket."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from perennial.common import timers
from perennial.common.db import WriteSession
from perennial.tickets.calendars import service as calendars
from perennial.tickets.calendars.working import Calendar, working_time_add, working_time_between
from perennial.tickets.sla import queries
from perennial.tickets.sla.models import SlaClock, SlaInterval

FIRST_RESPONSE, RESOLUTION = "first_response", "resolution"
TIMER = "sla"
MINUTE = timedelta(minutes=1)


async def promise(
    session: WriteSession, ticket: UUID, promised: Mapping[str, int | None], calendar: str, reopen: int
) -> None:
    """Clocks for what is promised, by the calendar in force; `follow` sets them going."""
    row = await calendars.find(session, calendar)
    for target, minutes in promised.items():
        if minutes is not None:
            session.add(
                SlaClock(
                    ticket_id=ticket, target=target, minutes=minutes, reopen=reopen, calendar=calendar,
                    calendar_version=row.version, due_at=None, met_at=None, breached_at=None,
                )
            )  # fmt: skip
    await session.flush()


async def follow(
    session: WriteSession,
    ticket: UUID,
    via: UUID,
    now: datetime,
    *,
    running: bool,
    met: Collection[str] = (),
    reopened: bool = False,
) -> list[SlaClock]:
    """Bring the clocks of a locked ticket up to date; returns those that turn out to have run out.

    A change is judged by the clock, not by whether the timer came first.
    """
    clocks = (await queries.clocks_of(session, [ticket])).get(ticket, [])
    if not clocks:
        return []
    late = run_out(clocks, now)
    for clock in clocks:
        if clock.target in met and clock.met_at is None:
            clock.met_at = now
    current = await _run_or_rest(session, ticket, now, running=running)
    ended = [item for item in await queries.intervals_of(session, ticket) if item.ended_at is not None]
    for clock in clocks:
        calendar = await calendars.load(session, clock.calendar, clock.calendar_version)
        used = _used(calendar, ended)
        if reopened and clock.target == RESOLUTION:
            clock.met_at = None
            clock.minutes = max(clock.minutes, -(-used // MINUTE) + clock.reopen)
        if clock.running:
            left = clock.minutes * MINUTE - used
            clock.due_at = working_time_add(calendar, current.started_at, left) if current else None
    await _set_timers(session, via, clocks)
    await session.flush()
    return late


def run_out(clocks: Iterable[SlaClock], now: datetime) -> list[SlaClock]:
    """Mark the clocks that have run out; each is returned once in its life."""
    late = [clock for clock in clocks if clock.running and clock.due_at is not None and clock.due_at <= now]
    for clock in late:
        clock.breached_at = clock.due_at
    return late


async def _run_or_rest(session: WriteSession, ticket: UUID, now: datetime, *, running: bool) -> SlaInterval | None:
    """The interval that goes on, if any."""
    intervals = await queries.intervals_of(session, ticket)
    current = intervals[-1] if intervals and intervals[-1].ended_at is None else None
    if running and current is None:
        current = SlaInterval(ticket_id=ticket, started_at=now, ended_at=None)
        session.add(current)
    elif not running and current is not None:
        current.ended_at, current = now, None
    await session.flush()
    return current


def _used(calendar: Calendar, intervals: Sequence[SlaInterval]) -> timedelta:
    spans = [working_time_between(calendar, item.started_at, item.ended_at) for item in intervals if item.ended_at]
    return sum(spans, timedelta())


async def _set_timers(session: WriteSession, via: UUID, clocks: Sequence[SlaClock]) -> None:
    wanted, done = [], []
    for clock in clocks:
        key = f"{clock.ticket_id}:{clock.target}"
        if clock.running and clock.due_at is not None:
            wanted.append(timers.timer_for(via, TIMER, key, clock.due_at))
        else:
            done.append(key)
    await timers.schedule(session, wanted)
    await timers.cancel(session, TIMER, done)
