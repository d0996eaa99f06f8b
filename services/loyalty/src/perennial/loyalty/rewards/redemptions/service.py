"""The verbs of redemptions: reserve, confirm, fulfil, cancel, let lapse."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from perennial.common import derive, faults
from perennial.common.contracts.base import Event, utc_now
from perennial.common.contracts.loyalty import (
    Account,
    AccountsChanged,
    PointsEarned,
    PointsReturned,
    PointsSpent,
    RedemptionCancelled,
    RedemptionConfirmed,
    RedemptionEvent,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
)
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.ids import digest_uuid
from perennial.common.outbox import emit
from perennial.common.web import Conflict, NotFound, Problem, Unprocessable
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Lot, give_back, issue
from perennial.loyalty.programme import service as programme
from perennial.loyalty.rewards.redemptions import queries

log = structlog.get_logger()

BATCH = 200
REFUSED = {
    "archived": ("reward_archived", "it is no longer offered"),
    "not_yet": ("reward_not_yet", "it is not offered yet"),
    "over": ("reward_over", "it is not offered any more"),
    "tier": ("tier_required", "it is for other tiers"),
    "limit": ("limit_reached", "the customer has had as many as one may have"),
    "sold_out": ("sold_out", "it is sold out"),
    "points": ("insufficient_points", "the customer has fewer points than it costs"),
    "price": ("price_changed", "its price is another by now"),
}


async def get(session: ReadSession, redemption_id: UUID) -> Row[Any]:
    """A redemption. Raises NotFound."""
    found = await queries.get(session, [redemption_id])
    if not found:
        raise unknown(redemption_id)
    return found[0]


async def reserve(
    session: WriteSession, redemption_id: UUID, reward_id: UUID, via: UUID, *, price: int | None = None,
    now: datetime | None = None,
) -> Row[Any]:  # fmt: skip
    """Hold a reward and its points for the customer of `via`. Raises Conflict, Unprocessable; then nothing is held.

    What has expired by then goes first, whether or not the job has come to it.
    """
    now, base = now or utc_now(), (await programme.current(session)).tiers[0].name
    if await ledger.due_lots_of(session, via, now):
        await queries.hold_customer(session, via)  # first of all locks, as whoever reserves takes them
        await points.expire_of(session, via, now)
    zone = settings_of(session).timezone
    done = await queries.reserve(session, redemption_id, reward_id, via, price, now, zone, base)
    if done.outcome != "reserved":
        raise _refused(done.outcome, reward_id)
    faults.point("loyalty.reserved")
    row = await get(session, redemption_id)
    if row.points:
        await _say_spent(session, row, done)
    await emit(session, _fact(RedemptionReserved, row, expires_at=row.expires_at))
    await derive.mark(session, [done.customer], live=True)
    log.info("redemption.reserved", redemption_id=str(row.id), customer_id=str(done.customer), points=row.points)
    return row


async def confirm(
    session: WriteSession, redemption_id: UUID, payment: str | None, now: datetime | None = None
) -> Row[Any]:
    """Take note that it is paid for; what hands itself over is fulfilled at once.

    Whatever is still held can be confirmed. Raises NotFound, Conflict, Unprocessable.
    """
    row, now = await _held(session, redemption_id, "confirm", "reserved"), now or utc_now()
    if row.money is not None and payment is None:
        raise Unprocessable(
            f"payment_reference: {row.amount} {row.money} must be paid", code="payment_required",
            pointer="/payment_reference",
        )  # fmt: skip
    (row,) = await queries.move(session, [row.id], "confirmed", now, payment=payment)
    await emit(session, _fact(RedemptionConfirmed, row, payment_reference=row.payment_reference))
    return await _fulfil(session, row, now) if row.instant else row


async def fulfil(session: WriteSession, redemption_id: UUID, now: datetime | None = None) -> Row[Any]:
    """Take note that the customer has it; stored credit is booked. Raises NotFound, Conflict."""
    row = await _held(session, redemption_id, "fulfil", "confirmed")
    return await _fulfil(session, row, now or utc_now())


async def cancel(
    session: WriteSession, redemption_id: UUID, note: str | None = None, now: datetime | None = None, *,
    unconfirmed: bool = False,
) -> Row[Any]:  # fmt: skip
    """Give points and stock back, of what is not fulfilled. Raises NotFound, Conflict."""
    states = ("reserved",) if unconfirmed else ("reserved", "confirmed")
    row = await _held(session, redemption_id, "cancel", *states)
    return (await _release(session, [row], RedemptionCancelled, now or utc_now(), note))[0]


async def expire_due(session: WriteSession, now: datetime) -> int:
    """Give points and stock of one batch of reservations back whose time is over; returns how many."""
    due = await queries.overdue(session, now, BATCH)
    if due:
        await _release(session, await queries.get(session, due), RedemptionExpired, now)
    return len(due)


async def _held(session: WriteSession, redemption_id: UUID, verb: str, *states: str) -> Row[Any]:
    await queries.hold(session, redemption_id)
    row = await get(session, redemption_id)
    if row.state not in states:
        raise Conflict(f"it is {row.state}: nobody can {verb} it", code="wrong_state")
    return row


async def _release(
    session: WriteSession, rows: Sequence[Row[Any]], contract: type[RedemptionEvent], now: datetime,
    note: str | None = None,
) -> list[Row[Any]]:  # fmt: skip
    returned = {
        row.id: give_back(row.id, row.via, row.currency, row.points, now, "return", str(row.id))
        for row in rows
        if row.points
    }
    await points.give_back(session, list(returned.values()), now)
    faults.point("loyalty.releasing")
    await queries.put_back(session, rows)
    state = "expired" if contract is RedemptionExpired else "cancelled"
    moved = await queries.move(session, [row.id for row in rows], state, now, note=note)
    facts: list[Event] = [
        PointsReturned(
            posting_id=returned[row.id].id, via=row.via, customer=row.customer_id, points=row.points,
            reference=str(row.id), currency=row.currency,
        )
        for row in moved
        if row.id in returned
    ]  # fmt: skip
    paid = contract is RedemptionCancelled
    facts += [_fact(contract, row, **({"payment_reference": row.payment_reference} if paid else {})) for row in moved]
    await emit(session, *facts)
    log.info("redemptions.released", state=state, redemptions=len(moved))
    return moved


async def _fulfil(session: WriteSession, row: Row[Any], now: datetime) -> Row[Any]:
    if row.credit_currency is not None:
        await _credit(session, row, now)
    (row,) = await queries.move(session, [row.id], "fulfilled", now)
    await emit(session, _fact(RedemptionFulfilled, row))
    log.info("redemption.fulfilled", redemption_id=str(row.id))
    return row


async def _credit(session: WriteSession, row: Row[Any], now: datetime) -> None:
    """Book the stored credit that a redemption brings, as a lot that lasts as its currency says."""
    lasting = (await programme.current(session)).currency(row.credit_currency).expiry
    lot = Lot(
        digest_uuid("credit", str(row.id)), row.via, row.credit_points, now, now,
        lasting.after(now, settings_of(session).zone), qualifies=False, currency=row.credit_currency,
    )  # fmt: skip
    posting = issue(lot, "earn", "reward", str(row.id))
    earned = PointsEarned(
        posting_id=posting.id, via=row.via, customer=row.customer_id, points=lot.points, reason=posting.reason,
        reference=posting.reference, currency=lot.currency,
    )  # fmt: skip
    await points.book(session, [posting], [lot], earned)
    await derive.mark(session, [row.customer_id], live=True)


async def _say_spent(session: WriteSession, row: Row[Any], done: Row[Any]) -> None:
    account = Account(
        via=row.via, currency=row.currency, balance=done.via_balance, pending=done.via_pending, version=done.via_version
    )  # fmt: skip
    spent = PointsSpent(
        posting_id=row.id, via=row.via, customer=done.customer, points=row.points, reason="reward",
        reference=str(row.id), currency=row.currency,
    )  # fmt: skip
    await emit(session, AccountsChanged(accounts=[account]), spent)


def _fact(contract: type[RedemptionEvent], row: Row[Any], **more: Any) -> RedemptionEvent:
    return contract(
        redemption_id=row.id, reward_id=row.reward_id, kind=row.kind, via=row.via, customer=row.customer_id,
        points=row.points, currency=row.currency, amount=row.amount or Decimal(0), money=row.money,
        version=row.version, reward_name=row.name, reserved_at=row.reserved_at, **more,
    )  # fmt: skip


def _refused(outcome: str, reward_id: UUID) -> Problem:
    if outcome == "unknown":
        return Unprocessable(f"reward_id: there is no reward {reward_id}", code="unknown_reward", pointer="/reward_id")
    if outcome == "repeated":
        return Conflict("Idempotency-Key: it was used before, more than 7 days ago", code="idempotency_key_reused")
    code, why = REFUSED[outcome]
    return Conflict(f"reward_id: {why}", code=code, pointer="/points" if outcome == "price" else "/reward_id")


def unknown(redemption_id: UUID) -> NotFound:
    """What to raise for a redemption that there is not, or that is not theirs."""
    return NotFound(f"redemption_id: there is no redemption {redemption_id}", pointer="path/redemption_id")
