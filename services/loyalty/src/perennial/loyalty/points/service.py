"""The verbs of the points bank: book, spend, adjust, activate, expire, settle."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from msgspec.structs import replace
from pydantic import TypeAdapter
from sqlalchemy import Row

from perennial.common import audit, derive, faults, identity_map
from perennial.common.auth import Principal
from perennial.common.beside import beside
from perennial.common.contracts.base import Event
from perennial.common.contracts.loyalty import Account, AccountsChanged, PointsSpent
from perennial.common.db import WriteSession, settings_of
from perennial.common.notify import STALE, notify
from perennial.common.outbox import emit, say
from perennial.common.packs import Said
from perennial.common.web import Conflict, NotFound
from perennial.loyalty.expiry import queries as expiries
from perennial.loyalty.expiry import service as expiry
from perennial.loyalty.points import queries
from perennial.loyalty.points.posting import Lot, Posting, activate, cut, issue
from perennial.loyalty.points.settling import allocate
from perennial.loyalty.points.telling import changed
from perennial.loyalty.points.writing import post
from perennial.loyalty.programme import service as programme
from perennial.loyalty.programme.definition import Programme

log = structlog.get_logger()

BATCH = 500
_SAID = TypeAdapter(list[AccountsChanged])


class ProgrammeChanged(Exception):  # noqa: N818 (no error: it is read again)
    """Another version of the programme is in force than was read."""


@dataclass(frozen=True)
class Spent:
    """Who spent, what is left to them, and of which currency."""

    customer: UUID
    balance: int
    currency: str


async def book(
    session: WriteSession, postings: Sequence[Posting], lots: Sequence[Lot] = (), *events: Event,
    encoded: Callable[[], Sequence[Said]] | None = None,
) -> None:  # fmt: skip
    """Write postings with the lots that they bring or cut, and say which accounts they changed, before other facts.

    Those are `events`, or many that are `encoded` while the postings are written.
    """

    async def encode() -> Sequence[Said]:
        return encoded() if encoded else ()

    rows, told = await beside(post(session, postings, lots), encode)
    faults.point("loyalty.posted")
    await queries.cut_lots(session, [item for item in postings if item.kind in {"reverse", "expire"}])
    if told:
        await say(session, [*changed(rows), *told])
        return
    parts = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    said = _SAID.validate_python([{"accounts": [dict(row) for row in part]} for part in parts])
    await emit(session, *said, *events)


async def spend(
    session: WriteSession, posting: Posting, *, anybody: bool = False, rules: Programme | None = None
) -> Spent:
    """Take points from the customer of `posting.via`; with `anybody` that is a customer's id, an old one too.

    What has expired by then goes first, whether or not the job has come to it. Raises Conflict when the customer has
    fewer, however many ask at once, NotFound, and ProgrammeChanged where `rules` are not in force any more.
    """
    version = (rules.version, rules.valid_from) if rules else None
    done = await queries.spend(session, posting, anybody=anybody, programme=version)
    if done.outcome == "expired":
        due = await expiries.due_lots_of_customers(session, [done.customer], posting.at)
        await _expire(session, {*due, *await queries.due_lots_of(session, posting.via, posting.at)}, posting.at)
        done = await queries.spend(session, posting, anybody=anybody, programme=version, swept=True)
    _check(done, posting)
    via = done.customer if anybody else posting.via
    await emit(
        session,
        AccountsChanged(accounts=[Account(
            via=via, currency=posting.currency, balance=done.via_balance, pending=done.via_pending,
            version=done.via_version,
        )]),
        PointsSpent(
            posting_id=posting.id, via=via, customer=done.customer, points=-posting.points, reason=posting.reason,
            reference=posting.reference, currency=posting.currency,
        ),
    )  # fmt: skip
    await notify(session, STALE)
    log.debug("points.spent", customer_id=str(done.customer), points=-posting.points)
    return Spent(done.customer, done.available, posting.currency)


async def spend_in(session: WriteSession, code: str | None, posting: Posting, *, anybody: bool = False) -> Spent:
    """The same in the currency that a body names. Raises Unprocessable, too.

    The programme that was read last is taken for the one in force; the spending itself finds out where it is not.
    """
    rules = programme.remembered()
    if not programme.may_spend(rules, code):
        rules = await programme.current(session)
    while True:
        currency = programme.code_in(rules, code, spendable=True)
        try:
            return await spend(session, replace(posting, currency=currency), anybody=anybody, rules=rules)
        except ProgrammeChanged:
            rules = await programme.current(session)


def _check(done: Row[Any], posting: Posting) -> None:
    if done.outcome == "programme":
        raise ProgrammeChanged
    if done.outcome == "unknown":
        raise NotFound(f"customer_id: there is no customer {posting.via}", pointer="path/customer_id")
    if done.outcome == "repeated":
        raise _repeated()
    if done.outcome == "insufficient":
        raise Conflict(
            f"points: {-posting.points} {posting.currency} asked, the balance is {done.available}",
            code="insufficient_points",
            pointer="/points",
        )


async def expire_of(session: WriteSession, via: UUID, now: datetime) -> None:
    """Post what of a customer's points has expired by then, whether or not the job has come to it."""
    await _expire(session, await queries.due_lots_of(session, via, now), now)


async def give_back(session: WriteSession, returned: Sequence[Posting], now: datetime) -> None:
    """Give spendings back: the lots that they used are free again, each with the expiry that it has.

    What those have outlived meanwhile expires at once, before anybody can spend it.
    """
    if not returned:
        return
    vias = {item.via for item in returned}
    owners = set((await identity_map.customers_of(session, vias)).values())
    await identity_map.lock_customers(session, owners)
    held = await identity_map.vias_of(session, owners)
    await queries.lock_accounts(session, vias.union(*held.values()))
    await book(session, returned)
    await settle(session, owners)
    await _expire(session, await expiries.due_lots_of_customers(session, owners, now), now)
    await derive.mark(session, owners, live=True)


async def adjust(session: WriteSession, principal: Principal, posting: Posting) -> None:
    """Correct a customer's points by hand, upwards as a lot of its own; downwards even below zero."""
    if await queries.is_posted(session, posting.id):
        raise _repeated()
    lots: list[Lot] = []
    if posting.points > 0:
        lasting = (await programme.current(session)).currency(posting.currency).expiry
        lots = [Lot(
            posting.id, posting.via, posting.points, posting.at, posting.at,
            lasting.after(posting.at, settings_of(session).zone),
            qualifies=False, currency=posting.currency,
        )]  # fmt: skip
        posting = issue(lots[0], "adjust", posting.reason, posting.reference)
    await book(session, [posting], lots)
    await derive.mark(session, [posting.via], live=True)
    detail = {
        "points": posting.points,
        "currency": posting.currency,
        "reason": posting.reason,
        "posting_id": posting.id,
    }
    await audit.record(session, principal, "loyalty.adjusted", str(posting.via), detail)


def _repeated() -> Conflict:
    """The answer to a key was forgotten after seven days, what it posted never is."""
    return Conflict("Idempotency-Key: it was used before, more than 7 days ago", code="idempotency_key_reused")


async def activate_due(session: WriteSession, now: datetime) -> int:
    """Let one batch of pending points be spent; returns how many lots."""
    waiting = await queries.pending_lots(session, now, BATCH)
    await activate_lots(session, waiting)
    return len(waiting)


async def activate_lots(session: WriteSession, waiting: Collection[Lot]) -> list[Posting]:
    """Let these lots be spent, those of them that are pending still; returns what was posted."""
    await queries.lock_accounts(session, [lot.via for lot in waiting])
    lots = [lot for lot in await queries.lots(session, [lot.id for lot in waiting]) if lot.state == "pending"]
    await queries.activate_lots(session, [lot.id for lot in lots])
    postings = [activate(lot) for lot in lots if lot.standing]
    await book(session, postings)
    await _mark(session, {lot.via for lot in lots})
    return postings


async def expire_due(session: WriteSession, now: datetime) -> int:
    """Post the expiry of one batch of lots; returns how many."""
    due = await queries.due_lots(session, now, BATCH)
    await _expire(session, due, now)
    return len(due)


async def _expire(session: WriteSession, due: Collection[tuple[UUID, UUID]], now: datetime) -> None:
    """Post the expiry of lots, given with their `via`: of each what no spending has used.

    The customers' accounts are held meanwhile, and what was used is derived afresh: points that are just being spent
    do not expire.
    """
    if not due:
        return
    owners = set((await identity_map.customers_of(session, [via for _, via in due])).values())
    await identity_map.lock_customers(session, owners)
    held = await identity_map.vias_of(session, owners)
    await queries.lock_accounts(session, [via for vias in held.values() for via in vias])
    await settle(session, owners)
    used = await queries.used(session, [lot for lot, _ in due])
    known = await queries.lots(session, [lot for lot, _ in due])
    lots = [lot for lot in known if lot.expires_at is not None and lot.expires_at <= now]  # others have just been slid
    unused = {lot.id: lot.standing - used.get(lot.id, 0) for lot in lots}
    await book(
        session,
        [cut(lot, "expire", unused[lot.id], lot.expires_at or now, "expired") for lot in lots if unused[lot.id] > 0],
    )
    await queries.sweep_lots(session, unused)


async def settle(session: WriteSession, customers: Collection[UUID]) -> None:
    """Derive afresh which lots the spendings of these customers used; the caller has locked the customers."""
    await expiry.slide(session, customers)
    spendings = await queries.spendings(session, customers)
    if spendings:
        sources = await queries.sources(session, {customer for customer, _ in spendings})
        new = {
            key: points
            for wallet, spent in spendings.items()
            for key, points in allocate(sources.get(wallet, ()), spent).items()
        }
        old = await queries.uses_of(session, [item.id for spent in spendings.values() for item in spent])
        await queries.replace_uses(session, old, new)
        faults.point("loyalty.settling")
    await queries.reopen_lots(session, customers)


async def _mark(session: WriteSession, vias: Collection[UUID]) -> None:
    owners = await identity_map.customers_of(session, vias)
    await derive.mark(session, owners.values(), live=False)
