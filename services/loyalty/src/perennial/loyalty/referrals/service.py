"""The verbs of referrals: hear, derive, reward, take back, decide, give a code."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from perennial.common import audit, derive, identity_map, timers
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, WriteSession
from perennial.common.derive import Stale
from perennial.common.ids import digest_uuid
from perennial.common.timers import Timer, timer_for
from perennial.common.web import Conflict, NotFound
from perennial.loyalty.programme import service as programme
from perennial.loyalty.programme.earning import Earner, in_force
from perennial.loyalty.referrals import booking, codes, guards, queries
from perennial.loyalty.referrals.course import Order, Qualified, Signal, Touch, came_to_nothing, judge, qualify
from perennial.loyalty.referrals.definition import Referral as Rules
from perennial.loyalty.referrals.queries import Made

log = structlog.get_logger()

WINDOW = "referral"
TRIES = 5
FIRST = 1
"""The version of a referral of which nothing has been said yet."""


async def is_on(session: ReadSession) -> bool:
    """Whether any version of the programme rewards anybody for friends."""
    return any(item.programme.referral for item in await programme.history(session))


async def hear(session: WriteSession, touches: Sequence[Touch], signals: Sequence[Signal]) -> set[UUID]:
    """Keep the codes that came with events, and what tells one person from another; returns whose codes were new."""
    new = await queries.touch(session, touches)
    await queries.signal(session, signals)
    return new


async def refresh(session: WriteSession, stale: Stale) -> None:
    """Derive the referrals in which these customers are the friends: reward what is due, take back what is not."""
    earners = await programme.history(session)
    if not any(item.programme.referral for item in earners):
        return
    touched = await queries.touches(session, stale.live)
    known = await queries.of_friends(session, stale.live)
    friends = {*touched, *(row.friend_id for row in known)}
    if not friends:
        return
    orders = await queries.orders(session, friends)
    counting = {
        friend: qualify(touched.get(friend, ()), orders.get(friend, ()), lambda at: _rules(earners, at))
        for friend in sorted(friends)
    }
    begun = _begun(counting, known, earners)
    await queries.add(session, begun)
    if begun:
        known = await queries.of_friends(session, friends)
    chosen = {found.order.id for found in counting.values() if found}
    await _follow(session, known, {order.id: order for mine in orders.values() for order in mine}, chosen, stale.live)


def _rules(earners: Sequence[Earner], at: datetime) -> Rules | None:
    return in_force(earners, at).programme.referral


def _begun(
    counting: Mapping[UUID, Qualified | None], known: Sequence[Row[Any]], earners: Sequence[Earner]
) -> list[Made]:
    """Referrals that are new, or whose touch is another by now; where somebody was rewarded once, that is all."""
    settled = {row.friend_id for row in known if row.booked or row.round or row.decision}
    before = {row.purchase_id: row for row in known}
    made = []
    for friend, found in counting.items():
        if found is None or friend in settled:
            continue
        was = before.get(found.order.id)
        if was is None or (was.code, was.touched_at) != (found.touch.code, found.touch.at):
            made.append(_made(found, earners))
    return made


def _made(found: Qualified, earners: Sequence[Earner]) -> Made:
    order, touch, rules = found.order, found.touch, found.rules
    main = in_force(earners, order.at).programme.main.code
    rewards = [
        {"side": side, "points": given.points, "currency": given.currency or main}
        for side, given in (("referrer", rules.referrer), ("friend", rules.friend))
        if given.points
    ]
    return Made(
        digest_uuid("referral", str(order.id)), order.id, touch.code, touch.via, order.via, touch.at, order.at,
        order.at + timedelta(days=rules.hold_days), order.amount, rewards,
    )  # fmt: skip


async def _follow(
    session: WriteSession, known: Sequence[Row[Any]], orders: Mapping[UUID, Order], counting: Collection[UUID],
    live: Mapping[UUID, bool],
) -> None:  # fmt: skip
    """Bring referrals to where they belong by all that is known, with the points of both sides."""
    earners = await programme.history(session)
    rules = {row.id: _rules(earners, row.qualified_at) for row in known}
    reasons = await guards.reasons(session, [(row, found) for row in known if (found := rules[row.id])])
    moves = []
    for row in known:
        found = rules[row.id]
        minimum = found.minimum if found else row.amount * 0
        state = judge(
            refunded=came_to_nothing(orders.get(row.purchase_id), row.due_at, minimum),
            counts=row.purchase_id in counting, reasons=reasons.get(row.id, ()), decision=row.decision,
            matured=row.matured, booked=row.booked, once=row.round > 0,
        )  # fmt: skip
        why = reasons.get(row.id, []) if state == "held" else list(row.reasons)
        if (state, why) != (row.state, list(row.reasons)) or row.version == FIRST:
            moves.append((row, state, why))
    await _wind(session, known, {row.id: state for row, state, _ in moves})
    await booking.carry_out(session, [(row, state) for row, state, _ in moves])
    await queries.move(session, [(row.id, state, why) for row, state, why in moves])
    after = {row.id: row for row in await queries.get(session, [row.id for row, _, _ in moves])}
    await booking.say(session, [(row, after[row.id]) for row, _, _ in moves if live.get(row.friend_id)])


async def _wind(session: WriteSession, known: Sequence[Row[Any]], states: Mapping[UUID, str]) -> None:
    """Wait for the end of the return window, and for everything that is said until then."""
    waiting = [
        timer_for(row.friend, WINDOW, str(row.id), row.due_at)
        for row in known
        if not row.matured and states.get(row.id, row.state) in {"pending", "held"}
    ]
    await timers.schedule(session, waiting)


async def mature(session: WriteSession, due: list[Timer]) -> None:
    """The return window is over, and the pipeline has come to its end: have the friends looked at again."""
    friends = await queries.mature(session, [UUID(timer.key) for timer in due])
    owners = await identity_map.customers_of(session, friends)
    await derive.mark(session, owners.values(), live=True)


async def decide(
    session: WriteSession, principal: Principal, referral_id: UUID, decision: str, note: str | None
) -> Row[Any]:
    """Approve or reject what is held; who did it and why is kept. Raises NotFound, Conflict."""
    row = await get(session, referral_id)
    await identity_map.lock_customers(session, [row.friend_id])
    row = await get(session, referral_id)
    if row.state != "held":
        raise Conflict(f"it is {row.state}: there is nothing to decide", code="wrong_state")
    await queries.decide(session, referral_id, decision, principal.id, utc_now(), note)
    await refresh(session, Stale({row.friend_id: True}, []))
    detail = {"decision": decision, "reasons": list(row.reasons), "reason": note}
    await audit.record(session, principal, "referral.decided", str(referral_id), detail)
    return await get(session, referral_id)


async def get(session: ReadSession, referral_id: UUID) -> Row[Any]:
    """A referral. Raises NotFound."""
    found = await queries.get(session, [referral_id])
    if not found:
        raise NotFound(f"referral_id: there is no referral {referral_id}", pointer="path/referral_id")
    return found[0]


async def code_for(session: WriteSession, via: UUID) -> str:
    """The customer's code; one is made if there is none."""
    owner = await identity_map.customer_of(session, via) or via
    for _ in range(TRIES):
        known = await queries.code_of(session, owner)
        if known is not None:
            return known
        await queries.issue(session, via, codes.new(), utc_now())
    msg = "five codes by chance were somebody else's"
    raise RuntimeError(msg)
