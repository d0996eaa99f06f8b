"""What every answer about a customer says of the tier: where, how far to the next, and where the clock leads."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession
from perennial.loyalty.programme import service as programme
from perennial.loyalty.tiers import queries
from perennial.loyalty.tiers.benefits import Given
from perennial.loyalty.tiers.ladder import NOTHING, Ladder, Measure, Sums
from perennial.loyalty.tiers.service import ladder_of
from perennial.loyalty.tiers.standing import State

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Reached:
    """Points of the tiers' currency, money and orders: what there is, or what is missing. None: no such way."""

    points: int | None = None
    spend: Decimal | None = None
    orders: int | None = None


@dataclass(frozen=True)
class Next:
    """The tier above, and what each way to it still takes; any of them is enough."""

    name: str
    missing: Reached


@dataclass(frozen=True)
class Period:
    """What counts now: of the last days, or of a calendar period."""

    days: int | None
    since: datetime | None
    until: datetime | None
    reached: Reached


@dataclass(frozen=True)
class Projected:
    """The tier to come if nothing more is earned, and when; the same and None where it stays."""

    name: str
    at: datetime | None


@dataclass(frozen=True)
class Standing:
    """A customer's tier. `to_next`: the points that are missing to the next, where points lead to it."""

    name: str
    since: datetime | None
    to_next: int | None
    next: Next | None
    period: Period
    projected: Projected
    held_until: datetime | None
    by_staff: bool
    benefits: Sequence[Given]


async def standings(
    session: ReadSession, customers: Collection[UUID], now: datetime | None = None
) -> dict[UUID, Standing]:
    """The tier of each customer of today; who has earned nothing stands at the beginning."""
    now = now or utc_now()
    ladder = await ladder_of(session, await programme.current(session))
    states = await queries.states(session, customers)
    sums = await queries.sums(session, dict.fromkeys(customers, ladder.begins(now)), ladder, now)
    return {
        customer: standing(ladder, states.get(customer), sums.get(customer, NOTHING), now) for customer in customers
    }


def standing(ladder: Ladder, state: State | None, sums: Sums, now: datetime) -> Standing:
    """What a row says, held against the ladder of today and what counts now."""
    rungs = ladder.rungs
    name = state.tier if state else rungs[0].name
    index = ladder.index(name)
    above = (index if index is not None else ladder.level(sums)) + 1
    following = None
    if above < len(rungs):
        following = Next(rungs[above].name, in_words(ladder.missing(above, sums)))
    return Standing(
        name, state.since if state else None, following.missing.points if following else None, following,
        period(ladder, sums, now), _projected(state, name, now), state.held_until if state else None,
        state is not None and state.override_id is not None,
        rungs[index].rule.benefits if index is not None else [],
    )  # fmt: skip


def _projected(state: State | None, name: str, now: datetime) -> Projected:
    if state is None or state.projected_at is None or state.projected_at <= now:
        return Projected(name, None)
    return Projected(state.projected or name, state.projected_at)


def period(ladder: Ladder, sums: Sums, now: datetime) -> Period:
    """What counts now; money and orders where they lead anywhere."""
    ways: dict[Measure, int] = {"points": sums.points}
    if ladder.by_orders:
        ways |= {"spend": sums.cents, "orders": sums.orders}
    if ladder.rolling:
        return Period(ladder.window.days, None, None, in_words(ways))
    return Period(None, *ladder.tiering.bounds(now, ladder.zone), in_words(ways))


def in_words(sums: dict[Measure, int]) -> Reached:
    """By measure, money in units again."""
    spend = sums.get("spend")
    return Reached(sums.get("points"), None if spend is None else (spend * CENT).quantize(CENT), sums.get("orders"))
