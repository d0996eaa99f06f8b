"""Why a customer has this tier, and what would change it, and when: by the computation that derives it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from perennial.common.db import ReadSession
from perennial.loyalty.programme import service as programme
from perennial.loyalty.tiers import queries
from perennial.loyalty.tiers.ladder import NOTHING, Ladder, Sums
from perennial.loyalty.tiers.path import Fact, Step, walk
from perennial.loyalty.tiers.position import Override, Position, stand
from perennial.loyalty.tiers.service import AHEAD, added_up, ladder_of
from perennial.loyalty.tiers.shown import Next, Period, Reached, in_words, period
from perennial.loyalty.tiers.standing import State

MOST = 50
LOST = frozenset({"grace", "held", "period_ended"})


@dataclass(frozen=True)
class Told:
    """A step over the ladder, in words."""

    at: datetime
    tier: str
    why: str
    until: datetime | None


@dataclass(frozen=True)
class Counted:
    """What counts now, and since when."""

    at: datetime
    what: Reached


@dataclass(frozen=True)
class Rung:
    """A tier, what each way to it takes, what is missing, and whether that is reached."""

    name: str
    takes: Reached
    missing: Reached
    reached: bool


@dataclass(frozen=True)
class Keep:
    """By when the tier must be reached again, and what is missing to it by then."""

    tier: str
    by: datetime
    missing: Reached


@dataclass(frozen=True)
class Explanation:
    """Everything that decides about a customer's tier."""

    customer_id: UUID
    as_of: datetime
    programme: int
    tier: str
    why: str
    since: datetime | None
    earned: str
    waits_for_events: bool
    override: Override | None
    period: Period
    next: Next | None
    keep: Keep | None
    projected: str
    projected_at: datetime | None
    ladder: Sequence[Rung]
    steps: Sequence[Told]
    ahead: Sequence[Told]
    counted: Sequence[Counted]


async def explain(session: ReadSession, customer: UUID, now: datetime) -> Explanation:
    """Walk a customer's whole way again."""
    rules = await programme.current(session)
    ladder = await ladder_of(session, rules)
    state = (await queries.states(session, [customer])).get(customer)
    facts = (await queries.facts(session, {customer: queries.BEGINNING}, ladder, now + AHEAD)).get(customer, [])
    said = (await queries.members(session, [customer], ladder, now)).get(customer, [])
    steps = walk(ladder, facts)
    position = stand(ladder, steps, said, state.heard_until(now) if state else now, now)
    return _told(customer, rules.version, ladder, state, facts, steps, position, now)


def _told(
    customer: UUID, version: int, ladder: Ladder, state: State | None, facts: Sequence[Fact], steps: Sequence[Step],
    position: Position, now: datetime,
) -> Explanation:  # fmt: skip
    rungs, begins = ladder.rungs, ladder.begins(now)
    sums = added_up(facts, begins, now)
    past, ahead = [step for step in steps if step.at <= now], [step for step in steps if step.at > now]
    above, tier = position.tier + 1, rungs[position.tier].name
    level = ladder.level(sums)
    return Explanation(
        customer, now, version, tier, position.why, state.since if state and state.tier == tier else None,
        rungs[position.earned].name, position.due is not None and position.due <= now, position.override,
        period(ladder, sums, now),
        Next(rungs[above].name, in_words(ladder.missing(above, sums))) if above < len(rungs) else None,
        _keep(ladder, facts, past, ahead, position), rungs[position.projected].name, position.projected_at,
        [_rung(ladder, number, sums, reached=number <= level) for number in range(len(rungs))],
        [_step(ladder, step) for step in past[-MOST:]], [_step(ladder, step) for step in ahead[:MOST]],
        [Counted(fact.at, _reached(fact.sums, ladder)) for fact in facts if begins < fact.at <= now][-MOST:],
    )  # fmt: skip


def _keep(
    ladder: Ladder, facts: Sequence[Fact], past: Sequence[Step], ahead: Sequence[Step], position: Position
) -> Keep | None:
    """What is asked for at the next moment at which the tier that was earned would not be reached again."""
    in_grace = bool(past) and past[-1].why == "grace"
    asked = next((step.at for step in ahead if step.why in LOST), None)
    if asked is None or not position.earned or any(step.why == "reached" for step in ahead if step.at <= asked):
        return None
    by = asked
    if ladder.rolling:
        sums = added_up(facts, by - ladder.window, by)
    else:
        start = ladder.tiering.bounds(by - timedelta(microseconds=1), ladder.zone)[0]
        if in_grace:
            start = ladder.tiering.bounds(start - timedelta(microseconds=1), ladder.zone)[0]
        sums = added_up(facts, start - timedelta(microseconds=1), by - timedelta(microseconds=1))
    return Keep(ladder.rungs[position.earned].name, by, in_words(ladder.missing(position.earned, sums)))


def _rung(ladder: Ladder, number: int, sums: Sums, *, reached: bool) -> Rung:
    takes, missing = ladder.missing(number, NOTHING), ladder.missing(number, sums)
    return Rung(ladder.rungs[number].name, in_words(takes), in_words(missing), reached)


def _reached(sums: Sums, ladder: Ladder) -> Reached:
    if not ladder.by_orders:
        return in_words({"points": sums.points})
    return in_words({"points": sums.points, "spend": sums.cents, "orders": sums.orders})


def _step(ladder: Ladder, step: Step) -> Told:
    return Told(step.at, ladder.rungs[step.tier].name, step.why, step.until)
