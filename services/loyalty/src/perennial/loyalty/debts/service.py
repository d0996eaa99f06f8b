"""The verbs of splits: find out who owes whom, waive, decide, take a waiver back when they are one again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import structlog

from perennial.common import audit, derive, identity_map
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import SplitSettled
from perennial.common.db import WriteSession
from perennial.common.identity_map import MapChange
from perennial.common.ids import digest_uuid
from perennial.common.outbox import emit
from perennial.common.web import Conflict, NotFound
from perennial.loyalty.debts import queries
from perennial.loyalty.debts.queries import Debt, Holdings
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Lot, cut, issue
from perennial.loyalty.points.settling import Spending, Uses, allocate, lent, uncovered
from perennial.loyalty.programme import service as programme

log = structlog.get_logger()

Owners = Mapping[UUID, UUID]
REASON = "split"


async def follow_map(session: WriteSession, changes: Sequence[MapChange]) -> None:
    """After a change of the map: what sides of a split owe each other, and what need not be owed any more."""
    moved = [change for change in changes if change.before is not None and change.before != change.after]
    if not moved:
        return
    now = utc_now()
    await _rejoin(session, await queries.rejoined(session, [change.via for change in moved]), now)
    before, after = await _sides(session, moved)
    torn = {old for old in before.values() if len({after[via] for via in before if before[via] == old}) > 1}
    if not torn:
        return
    concerned = {after[via] for via, old in before.items() if old in torn}
    vias = [via for via in before if before[via] in torn or after[via] in concerned]
    await ledger.lock_accounts(session, vias)
    found = await queries.holdings(session, vias)
    owed = [item for currency, held in found.items() for item in _owed(currency, held, before, after)]
    if owed:
        await _settle(session, owed, now)


async def _sides(session: WriteSession, moved: Sequence[MapChange]) -> tuple[Owners, Owners]:
    """The customer of each identifier of those concerned, before and after."""
    named = {customer for change in moved for customer in (change.before, change.after) if customer}
    after = {
        via: customer for customer, vias in (await identity_map.vias_of(session, named)).items() for via in vias
    }  # fmt: skip
    before = after | {change.via: change.before for change in moved if change.before}
    return before, after


def _owed(currency: str, held: Holdings, before: Owners, after: Owners) -> list[Debt]:
    """What each customer of today owes others because of this change."""
    earner = {lot.id: via for via, lot in held.lots}
    used: Uses = {}
    for old in set(before.values()):
        used |= _uses(held, before, old)
    made = []
    for customer in sorted(set(after.values())):
        mine = [(via, item) for via, item in held.spendings if after[via] == customer]
        spendings = [item for _, item in mine]
        missing = uncovered(spendings, _uses(held, after, customer)) - uncovered(spendings, _of(used, spendings))
        gone = {lot: via for lot, via in earner.items() if after[via] != customer}
        spender = {item.id: via for via, item in mine}
        for (posting, lender), amount in lent(spendings, used, gone, missing).items():
            made.append(Debt(posting, posting, spender[posting], lender, currency, amount, "debt", utc_now()))
    return made


def _of(uses: Uses, spendings: Iterable[Spending]) -> Uses:
    ids = {item.id for item in spendings}
    return {key: amount for key, amount in uses.items() if key[0] in ids}


def _uses(held: Holdings, owners: Owners, customer: UUID) -> Uses:
    lots = [lot for via, lot in held.lots if owners[via] == customer]
    return allocate(lots, [item for via, item in held.spendings if owners[via] == customer])


async def _settle(session: WriteSession, owed: Sequence[Debt], now: datetime) -> None:
    """Note debts as the programme's policy has it; what is waived the programme gives."""
    policy = (await programme.current(session)).split_policy
    before = await queries.times(session, {debt.posting_id for debt in owed})
    debts = []
    for debt in owed:
        times = str(before.get((debt.posting_id, debt.lender), 0))
        key = digest_uuid("split", str(debt.posting_id), str(debt.lender), times)
        state = "waived" if policy == "waive" else policy
        debts.append(replace(debt, id=key, state=state, at=now, lot_id=_waiver(key) if policy == "waive" else None))
    await _waive(session, [debt for debt in debts if debt.state == "waived"], now)
    await queries.add(session, debts)
    await _say(session, debts)
    log.info("split.settled", policy=policy, debts=len(debts))


def _waiver(debt_id: UUID) -> UUID:
    return digest_uuid("waive", str(debt_id))


async def _waive(session: WriteSession, debts: Sequence[Debt], now: datetime) -> None:
    lots = [
        Lot(_waiver(debt.id), debt.via, debt.points, now, now, qualifies=False, currency=debt.currency)
        for debt in debts
    ]  # fmt: skip
    await points.book(session, [issue(lot, "adjust", REASON, None) for lot in lots], lots)


async def _rejoin(session: WriteSession, debts: Sequence[Debt], now: datetime) -> None:
    """Nobody owes anything to themselves: what the programme gave for it goes back."""
    if not debts:
        return
    given = [debt.lot_id for debt in debts if debt.state == "waived" and debt.lot_id]
    await ledger.lock_accounts(session, {debt.via for debt in debts})
    lots = await ledger.lots(session, given)
    await points.book(
        session, [cut(lot, "reverse", lot.standing, now, "rejoined") for lot in lots if lot.standing]
    )  # fmt: skip
    await queries.move(session, [debt.id for debt in debts], "rejoined")
    await _say(session, [replace(debt, state="rejoined") for debt in debts])


async def decide(session: WriteSession, principal: Principal, debt_id: UUID, *, waive: bool, note: str) -> None:
    """Waive what a split left owed, or let it be owed; who did it and why is kept. Raises NotFound, Conflict."""
    debt, now = await queries.hold(session, debt_id), utc_now()
    if debt is None:
        raise unknown(debt_id)
    if debt.state not in ({"review", "debt"} if waive else {"review"}):
        raise Conflict(f"it is {debt.state}: there is nothing to decide", code="wrong_state")
    decided = replace(debt, state="waived" if waive else "debt", lot_id=_waiver(debt.id) if waive else None)
    if waive:
        await _waive(session, [decided], now)
    await queries.decide(session, decided, principal.id, now, note)
    await _say(session, [decided])
    owners = await identity_map.customers_of(session, [debt.via])
    await derive.mark(session, owners.values(), live=True)
    detail = {"points": debt.points, "currency": debt.currency, "state": decided.state, "reason": note}
    await audit.record(session, principal, "split.decided", str(debt_id), detail)


async def _say(session: WriteSession, debts: Sequence[Debt]) -> None:
    owners = await identity_map.customers_of(session, [debt.via for debt in debts])
    facts = [
        SplitSettled(
            debt_id=debt.id, via=debt.via, customer=owners.get(debt.via, debt.via), lender=debt.lender,
            currency=debt.currency, points=debt.points, outcome=debt.state,
        )
        for debt in debts
    ]  # fmt: skip
    await emit(session, *facts)


def unknown(debt_id: UUID) -> NotFound:
    """What to raise for a debt that there is not."""
    return NotFound(f"debt_id: there is no debt {debt_id}", pointer="path/debt_id")
