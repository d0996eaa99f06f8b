"""The table of reactions: what loyalty hears, and which verb answers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from perennial.common import commerce
from perennial.common.contracts.hot import effective_traits, read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import ReadSession, WriteSession
from perennial.common.derive import Derivation, Stale, mark_changes
from perennial.common.identity_map import MapChange
from perennial.common.ids import digest_uuid
from perennial.common.messaging import Reaction, on
from perennial.loyalty.debts import service as debts
from perennial.loyalty.earning import service as earning
from perennial.loyalty.earning.content import service as content
from perennial.loyalty.earning.service import Happening
from perennial.loyalty.memberships import service as memberships
from perennial.loyalty.memberships import worker as membership_events
from perennial.loyalty.orders import service as orders
from perennial.loyalty.orders.facts import OrderEvent, What
from perennial.loyalty.points import service as points
from perennial.loyalty.programme import service as programmes
from perennial.loyalty.referrals import service as referrals
from perennial.loyalty.referrals import worker as referral_events
from perennial.loyalty.tiers import service as tiers

_WHAT: dict[str, What] = {
    commerce.ORDER_COMPLETED: "completed",
    commerce.ORDER_UPDATED: "updated",
    commerce.ORDER_REFUNDED: "refunded",
    commerce.ORDER_CANCELLED: "refunded",
    commerce.ORDER_DELIVERED: "delivered",
}


async def account_for_orders(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Orders earn, refunds and cancellations take back."""
    heard = [told for event in events for told in read_order(event)]
    if heard:
        await orders.account_for(session, heard)


def read_order(event: ResolvedEvent) -> Iterator[OrderEvent]:
    """What an event says of an order; a cancellation is the refund of all of it.

    A completed order without an id is an order of its own, named after its message.
    """
    if event.name not in _WHAT:
        return
    properties = read_body(event.body).properties or {}
    order_id = commerce.order_id(properties)
    if order_id is None:
        if event.name != commerce.ORDER_COMPLETED:
            return
        order_id = f"message:{event.message_id}"
    amount = None if event.name == commerce.ORDER_CANCELLED else commerce.amount(properties)
    what = _WHAT[event.name]
    if what == "refunded" and amount is not None:
        amount = abs(amount)
    yield OrderEvent(
        event.id, what, event.source, order_id, digest_uuid(event.source, order_id), event.via, event.timestamp,
        event.live, amount, properties, _refund_key(event, properties) if what == "refunded" else "",
    )  # fmt: skip


def _refund_key(event: ResolvedEvent, properties: Mapping[str, Any]) -> str:
    refund_id = properties.get("refund_id")
    return refund_id[:255] if isinstance(refund_id, str) and refund_id else str(event.id)


async def follow_map(session: WriteSession, changes: list[MapChange]) -> None:
    """Both sides are derived afresh; what a split leaves owed is settled now."""
    await mark_changes(session, changes)
    await debts.follow_map(session, changes)


async def earn(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Events that the programme asks about earn: reviews, shares, surveys, whatever staff has named."""
    wanted = await asked(session)
    heard = [_happening(event) for event in events if event.type == "track" and event.name in wanted]
    if heard:
        rest = await content.hear(session, heard)
        await earning.earn(session, rest)


async def asked(session: ReadSession) -> set[str]:
    """The events, other than orders, that some version of the programme asks about."""
    earners = await programmes.history(session)
    return earning.names(earners) | content.names(earners)


def _happening(event: ResolvedEvent) -> Happening:
    properties = read_body(event.body).properties or {}
    name = event.name or ""  # nothing that has none is wanted
    return Happening(event.id, event.via, name, event.source, event.timestamp, event.live, properties)


async def learn_birthdays(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Traits tell birthdays."""
    said = []
    for event in events:
        traits = effective_traits(read_body(event.body))
        if "birthday" in traits:
            said.append((event.via, traits["birthday"], event.timestamp, event.id))
    await earning.learn_birthdays(session, said)


def tells_birthday(event: ResolvedEvent) -> bool:
    """Whether it may tell one: most traits do not, and cost nothing then. An escaped letter could hide the word."""
    if event.type != "identify":
        return False
    body = bytes(event.body)
    return b"birthday" in body or b"\\u" in body


async def refresh(session: WriteSession, stale: Stale) -> None:
    """Derive what customers used, and where those stand of whom more has changed than what they spent."""
    more = replace(stale, live={who: live for who, live in stale.live.items() if stale.concerns.get(who) != SPENT})
    if more.live or more.gone:
        await referrals.refresh(session, more)
    await points.settle(session, stale.live)
    if more.live or more.gone:
        await tiers.refresh(session, more)
        await memberships.refresh(session, more)


REACTIONS = (
    on(ResolvedEvent, account_for_orders, names=_WHAT),
    on(ResolvedEvent, membership_events.hear, names=membership_events.NAMES),
    on(ResolvedEvent, referral_events.hear, names=referral_events.NAMES),
    Reaction(ResolvedEvent, learn_birthdays, tells_birthday),
    on(ResolvedEvent, earn, types=["track"], asked=asked),
)
SPENT = frozenset({"spent"})
DERIVATION = Derivation(refresh, rest=8, concerned=True)
