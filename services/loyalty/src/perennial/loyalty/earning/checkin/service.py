"""The verb of checking in; the streak is derived from the days, so that it is right after a merge and its undoing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

import structlog

from perennial.common import identity_map
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.ids import digest_uuid
from perennial.common.web import NotFound
from perennial.loyalty.earning import queries as activities
from perennial.loyalty.earning.booking import Earned, book
from perennial.loyalty.earning.checkin import queries
from perennial.loyalty.earning.checkin.definition import CheckIn
from perennial.loyalty.earning.checkin.queries import CHECK_IN
from perennial.loyalty.earning.known import hold
from perennial.loyalty.programme import service as programmes
from perennial.loyalty.programme.definition import Programme

log = structlog.get_logger()

MOST_DAYS = 3660
RECENT = timedelta(days=31)


@dataclass(frozen=True)
class Ahead:
    """The next bonus: in so many days, so many points."""

    in_days: int
    points: int


@dataclass(frozen=True)
class Standing:
    """A customer's check-ins: today's, or what one would bring today."""

    day: date
    checked_in: bool
    streak: int
    points: int
    bonus: int
    currency: str
    next_bonus: Ahead | None
    recent: Sequence[date]


async def standing(session: ReadSession, via: UUID, now: datetime | None = None) -> Standing:
    """Whether a customer has checked in today, and the streak. Raises NotFound where the programme has none."""
    programme = await programmes.current(session)
    rules = _rules(programme)
    today = (now or utc_now()).astimezone(settings_of(session).zone).date()
    vias = await _vias(session, via)
    found = _standing(programme, rules, today, await queries.days(session, vias, today, MOST_DAYS))
    if not found.checked_in:
        return found
    told = await queries.told(session, vias, today)  # the programme may have changed since
    return replace(found, points=told.get("points", 0), bonus=told.get("bonus", 0))


async def check_in(session: WriteSession, via: UUID, now: datetime | None = None) -> tuple[Standing, bool]:
    """Check a customer in, once a day by whichever identifier; returns where they stand, and whether that was new.

    Raises NotFound where the programme has none.
    """
    now = now or utc_now()
    await hold(session, [via])
    before = await standing(session, via, now)
    if before.checked_in:
        return before, False
    programme = await programmes.current(session)
    cause = digest_uuid(CHECK_IN, str(via), before.day.isoformat())
    told = {"version": programme.version, "streak": before.streak + 1, "points": before.points, "bonus": before.bonus}
    await activities.add_activities(
        session, [activities.Activity(cause, via, CHECK_IN, "me", now, before.day, live=True, told=told)]
    )
    points = {before.currency: before.points + before.bonus}
    await book(session, [Earned(cause, via, now, points, CHECK_IN, before.day.isoformat(), live=True, rules=programme)])
    log.info("customer.checked_in", streak=before.streak + 1)
    return await standing(session, via, now), True


def _rules(programme: Programme) -> CheckIn:
    if programme.check_in is None:
        raise NotFound("check-in: the programme has none", code="no_check_in")
    return programme.check_in


async def _vias(session: ReadSession, via: UUID) -> set[UUID]:
    owner = await identity_map.customer_of(session, via) or via
    return {via, *(await identity_map.vias_of(session, [owner])).get(owner, ())}


def _standing(programme: Programme, rules: CheckIn, today: date, days: Sequence[date]) -> Standing:
    """Before today's check-in the streak is yesterday's, and the points are what it would bring."""
    done = bool(days) and days[0] == today
    streak, expected = 0, today if done else today - timedelta(days=1)
    for day in days:
        if day != expected:
            break
        streak, expected = streak + 1, expected - timedelta(days=1)
    reached = streak if done else streak + 1
    ahead = rules.next_bonus(streak)
    return Standing(
        today, done, streak, rules.points, rules.bonus(reached), rules.currency or programme.main.code,
        None if ahead is None else Ahead(*ahead), [day for day in days if day > today - RECENT],
    )  # fmt: skip
