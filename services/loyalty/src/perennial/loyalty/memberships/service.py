"""The verbs of memberships: hear of them, derive how they stand, let the clock change them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from perennial.common import derive, timers
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.db.locks import lock_all, lock_key
from perennial.common.derive import Stale
from perennial.common.timers import Timer, timer_for
from perennial.loyalty.memberships import queries
from perennial.loyalty.memberships.course import ANY, MEMBER, Course, Heard, follow
from perennial.loyalty.memberships.plans import Plans
from perennial.loyalty.memberships.queries import Saving, State
from perennial.loyalty.memberships.saying import Move, say
from perennial.loyalty.programme import service as programme

CLOCK = "membership"


async def hear(session: WriteSession, heard: Sequence[Heard], savings: Sequence[Saving]) -> set[UUID]:
    """Keep what events say of memberships and of what members save; returns the others whose payments they tell of."""
    named = {(item.source, item.payment) for item in heard if item.payment}
    await lock_all(session, [lock_key("loyalty", "payment", *item) for item in named])
    await queries.hear(session, heard)
    await queries.save(session, savings)
    return await queries.payers(session, heard) - {item.via for item in heard}


async def plans_of(session: ReadSession) -> Plans:
    """The plans of every version of the programme."""
    return Plans(await programme.history(session))


async def courses(
    session: ReadSession, customers: Collection[UUID], plans: Plans, now: datetime
) -> dict[UUID, list[Course]]:
    """The course of each customer's memberships until now, by plan."""
    zone = settings_of(session).zone
    found: dict[UUID, list[Course]] = {}
    for customer, heard in (await queries.heard_of(session, customers)).items():
        for plan in sorted({item.plan for item in heard} - {ANY}):
            mine = [item for item in heard if item.plan in {plan, ANY}]
            past = [item for item in mine if item.at <= now]
            course = follow(plan, past, lambda at, plan=plan: plans.at(plan, at), zone)  # type: ignore[misc]
            course.coming = min(((item.at, item.via) for item in mine if item.at > now), default=None)
            found.setdefault(customer, []).append(course)
    return found


async def refresh(session: WriteSession, stale: Stale, now: datetime | None = None) -> None:
    """Derive the memberships of one batch of customers afresh, set their timers, and say which have changed."""
    now, plans = now or utc_now(), await plans_of(session)
    if not plans:
        return
    found = await courses(session, stale.live, plans, now)
    wanted = {(state.customer_id, state.plan): state for state in _states(found, plans, now)}
    before = await queries.states(session, [*stale.live, *stale.gone])
    ended = await queries.remove(session, before.keys() - wanted.keys())
    changed = [state for key, state in wanted.items() if before.get(key) != state]
    versions = await queries.write(session, changed)
    await _wind(session, found, {customer for customer, _ in before}, now)
    moves = [Move(before.get(key := (item.customer_id, item.plan)), item, versions[key]) for item in changed]
    moves += [Move(before[key], None, version) for key, version in ended.items() if key[0] in stale.live]
    await say(session, moves, stale.live)


def _states(found: Mapping[UUID, Sequence[Course]], plans: Plans, now: datetime) -> Iterator[State]:
    for customer, mine in found.items():
        for course in mine:
            run = course.run
            if run is not None:
                rules, status = plans.at(course.plan, now), run.status(now)
                given = [item.held() for item in rules.benefits] if rules and status in MEMBER else []
                renews = run.ended_at is None and run.cancelled_at is None
                yield State(
                    customer, course.plan, status, run.since, run.until, run.ends_at, renews, course.refund_due,
                    course.money, [item.model_dump(mode="json") for item in given],
                )  # fmt: skip


async def _wind(
    session: WriteSession, found: Mapping[UUID, Sequence[Course]], known: Collection[UUID], now: datetime
) -> None:
    """Set the timers at which the clock changes something, and forget those of who has none."""
    wanted: list[Timer] = []
    for customer, mine in found.items():
        moments = [
            (moment, course.via or customer)
            for course in mine
            if course.run and (moment := course.run.next_change(now)) is not None
        ] + [course.coming for course in mine if course.coming]
        if moments:
            moment, via = min(moments)
            wanted.append(timer_for(via, CLOCK, str(customer), moment))
    idle = {str(customer) for customer in {*found, *known}} - {timer.key for timer in wanted}
    if idle:
        await timers.cancel(session, CLOCK, sorted(idle))
    await timers.schedule(session, wanted)


async def strike(session: WriteSession, due: list[Timer]) -> None:
    """The clock, behind the pipeline: have these customers looked at again."""
    await derive.mark(session, {UUID(timer.key) for timer in due}, live=True)
