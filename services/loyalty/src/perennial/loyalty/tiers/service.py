"""Tiers are derived: up at once, down when a period ends; what they give is granted and revoked as they change."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog

from perennial.common import identity_map, timers
from perennial.common.contracts.base import Event, utc_now
from perennial.common.contracts.loyalty import (
    Benefit,
    BenefitGranted,
    BenefitRevoked,
    BenefitsChanged,
    CustomerBenefits,
    Tier,
    TierChanged,
    TiersChanged,
)
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.derive import Stale, mark
from perennial.common.ids import partition_of
from perennial.common.outbox import emit
from perennial.common.timers import Timer
from perennial.loyalty.programme import service as programme
from perennial.loyalty.programme.definition import Definition
from perennial.loyalty.tiers import queries
from perennial.loyalty.tiers.ladder import NOTHING, Ladder, Sums
from perennial.loyalty.tiers.path import Fact, walk
from perennial.loyalty.tiers.position import Position, stand
from perennial.loyalty.tiers.standing import State

log = structlog.get_logger()
Item = TypeVar("Item")

REVIEW = "tiers"
TIER = "tier"
PER_FACT = 1000
AHEAD = timedelta(days=400)
"""So far ahead facts are looked at that bear a date to come."""


@dataclass(frozen=True)
class Move:
    """A row as it was, if there was one, and as it is."""

    before: State | None
    after: State
    previous: str | None
    told: bool
    why: str


async def ladder_of(session: ReadSession, rules: Definition) -> Ladder:
    """The ladder of a programme, by the deployment's calendar."""
    return Ladder(rules, settings_of(session).zone)


async def positions(
    session: ReadSession, customers: Sequence[UUID], ladder: Ladder, states: Mapping[UUID, State], now: datetime
) -> dict[UUID, tuple[Position, Sums]]:
    """Where customers stand by a ladder, and what counts now.

    Of those who have anything that a tier may rest on, or a tier above the first, which they lose in the open.
    """
    above = {customer for customer, state in states.items() if state.tier != ladder.rungs[0].name}
    said = await queries.members(session, customers, ladder, now)
    found = sorted(said.keys() | above)
    clocks = {customer: states[customer].heard_until(now) if customer in states else now for customer in found}
    since = {
        customer: min(clocks[customer], now) - ladder.window if ladder.forgetful else queries.BEGINNING
        for customer in found
    }
    facts = await queries.facts(session, since, ladder, now + AHEAD)
    begins = ladder.begins(now)
    return {
        customer: (
            stand(ladder, walk(ladder, facts.get(customer, [])), said.get(customer, []), clocks[customer], now),
            added_up(facts.get(customer, []), begins, now),
        )
        for customer in found
    }


def added_up(facts: Iterable[Fact], after: datetime, until: datetime) -> Sums:
    """What was reached in between."""
    total = NOTHING
    for fact in facts:
        if after < fact.at <= until:
            total = total.plus(fact.sums)
    return total


async def refresh(session: WriteSession, stale: Stale, now: datetime | None = None) -> None:
    """Derive the tiers of one batch of customers afresh, and say what has changed of them and of their benefits."""
    now = now or utc_now()
    rules = await programme.current(session)
    ladder = await ladder_of(session, rules)
    before = await queries.states(session, list(stale.live))
    found = await positions(session, list(stale.live), ladder, before, now)
    told = await queries.last_told(session, [customer for customer in found if customer not in before])
    moves, due = [], {}
    for customer, (position, sums) in found.items():
        if position.due is not None:
            due[customer] = position.due
        after = _state(customer, ladder, rules.version, position, sums, now)
        last = told.get(customer)
        moves.append(_move(before.get(customer), after, (last.tier, last.at) if last else None, position, ladder))
    moves = await _numbered(session, [move for move in moves if _differs(move)])
    await queries.write(session, [move.after for move in moves])
    await queries.note(session, [(move.after, move.previous, move.why) for move in moves if move.told], now)
    empty = sorted(before.keys() - found.keys())
    await queries.remove(session, [*stale.gone, *empty])
    await _wake(session, due, before, [*stale.gone, *empty])
    left = await _numbered(session, [_emptied(before[customer]) for customer in empty if before[customer].benefits])
    await _tell(session, [*moves, *left], stale, rules.tiers[0].name)


def _state(
    customer: UUID, ladder: Ladder, version: int, position: Position, sums: Sums, now: datetime
) -> State:  # fmt: skip
    rungs = ladder.rungs
    given = [item.held().model_dump(mode="json", exclude_none=True) for item in rungs[position.tier].rule.benefits]
    return State(
        customer, rungs[position.tier].name, now, sums.points, position.due, 0, rungs[position.earned].name,
        position.why, position.held_until, rungs[position.projected].name, position.projected_at,
        position.override.id if position.override else None, given, version, now,
    )  # fmt: skip


def _move(
    before: State | None, after: State, last: tuple[str, datetime] | None, position: Position, ladder: Ladder
) -> Move:
    """What the new row keeps of the old one, and whether the history goes on; whoever is back was never away."""
    if position.due is not None and position.due <= after.clock and before is not None:
        after = replace(after, clock=before.clock)  # a timer has still to wait for the pipeline
    ago = (before.tier, before.since) if before else last
    if ago is not None and ago[0] == after.tier:
        after = replace(after, since=ago[1])
    previous = ago[0] if ago else None
    told = previous != after.tier and (previous is not None or position.tier > 0)
    return Move(before, after, previous, told, _why(before, after, position, ladder))


def _emptied(before: State) -> Move:
    """Of somebody who has nothing that a tier may rest on any more: what it gave ends with it."""
    return Move(before, replace(before, benefits=[]), before.tier, told=False, why="corrected")


def _why(before: State | None, after: State, position: Position, ladder: Ladder) -> str:
    if position.override is not None or (before is not None and before.override_id is not None):
        return "override" if position.override is not None else "override_ended"
    if before is not None and before.programme is not None and before.programme != after.programme:
        return "programme_changed"
    level = ladder.index(before.tier) if before else 0
    if level is None or position.tier > level:
        return "reached"
    return "period_ended" if position.why == "period_ended" else "corrected"


def _differs(move: Move) -> bool:
    before = move.before
    return before is None or replace(move.after, version=before.version, clock=before.clock) != before


def _said_anew(move: Move) -> bool:
    """Whether others are to hear of it."""
    ago = move.before
    return ago is None or (ago.tier, ago.benefits) != (move.after.tier, move.after.benefits)


async def _numbered(session: WriteSession, moves: Sequence[Move]) -> list[Move]:
    """A new version for whatever others hear of."""
    numbers = iter(await queries.versions(session, sum(map(_said_anew, moves))))
    return [
        replace(move, after=replace(
            move.after, version=next(numbers) if _said_anew(move) or move.before is None else move.before.version
        ))
        for move in moves
    ]  # fmt: skip


async def _wake(
    session: WriteSession, due: Mapping[UUID, datetime], before: Mapping[UUID, State], gone: Collection[UUID]
) -> None:
    """Set the timers of those whom the clock may move, and forget those of the others.

    One timer a customer; it waits for the partitions of all identifiers, one behind the other, whatever the map says.
    """
    idle = [customer for customer, state in before.items() if state.review_at is not None and customer not in due]
    if gone or idle:
        await timers.cancel(session, REVIEW, [str(customer) for customer in {*gone, *idle}])
    vias = await identity_map.vias_of(session, due) if due else {}
    made = []
    for customer, at in due.items():
        first, *others = sorted({partition_of(via) for via in vias.get(customer, [customer])})
        made.append(Timer(REVIEW, str(customer), at, {"then": others}, first))
    await timers.schedule(session, made)


async def _tell(session: WriteSession, moves: Sequence[Move], stale: Stale, base: str) -> None:
    """State for whoever keeps a copy; single facts only where something live was the cause."""
    said = [move for move in moves if _said_anew(move)]
    if not said:
        return
    changed = [move for move in said if move.before is None or move.before.tier != move.after.tier]
    given = [move for move in said if (move.before.benefits if move.before else []) != move.after.benefits]
    tiers, benefits = [_tier(move.after) for move in changed], [_held(move.after) for move in given]
    facts: list[Event] = [TiersChanged(tiers=part) for part in _parts(tiers)]
    facts += [BenefitsChanged(customers=part) for part in _parts(benefits)]
    for move in said:
        customer, previous = move.after.customer_id, move.before.tier if move.before else base
        if not stale.live[customer]:
            continue
        if previous != move.after.tier:
            facts.append(
                TierChanged(customer=customer, tier=move.after.tier, previous=previous, version=move.after.version)
            )
        facts += _granted(move)
    await emit(session, *facts)
    log.info("tiers.changed", customers=len(changed), benefits=len(given))


def _parts(items: Sequence[Item]) -> Iterable[list[Item]]:
    return (list(items[start : start + PER_FACT]) for start in range(0, len(items), PER_FACT))


def _tier(state: State) -> Tier:
    return Tier(customer=state.customer_id, tier=state.tier, since=state.since, version=state.version)


def _held(state: State) -> CustomerBenefits:
    return CustomerBenefits(
        customer=state.customer_id, origin=TIER, held_by=state.tier, version=state.version,
        benefits=[Benefit.model_validate(item) for item in state.benefits],
    )  # fmt: skip


def _granted(move: Move) -> Iterable[Event]:
    before: dict[str, Any] = {item["code"]: item for item in (move.before.benefits if move.before else [])}
    after = {item["code"]: item for item in move.after.benefits}
    customer, version = move.after.customer_id, move.after.version
    for code, item in before.items():
        if code not in after:
            benefit = Benefit.model_validate(item)
            yield BenefitRevoked(customer=customer, origin=TIER, benefit=benefit, version=version)
    for code, item in after.items():
        if before.get(code) != item:
            yield BenefitGranted(
                customer=customer, origin=TIER, held_by=move.after.tier, benefit=Benefit.model_validate(item),
                version=version,
            )  # fmt: skip


async def review(session: WriteSession, fired: Sequence[Timer]) -> None:
    """The clock has come to where it may move customers, who go down once all they said in time was heard."""
    await timers.schedule(session, [_onward(timer) for timer in fired if timer.payload.get("then")])
    heard = [timer for timer in fired if not timer.payload.get("then")]
    customers = [UUID(timer.key) for timer in heard]
    await queries.advance(session, customers, [timer.due_at for timer in heard])
    await mark(session, customers, live=True)


def _onward(timer: Timer) -> Timer:
    first, *others = timer.payload["then"]
    return replace(timer, partition=first, payload={"then": others})
