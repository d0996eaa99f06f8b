"""The verb of orders: account for what their events say."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from uuid import UUID

import structlog

from perennial.common import derive, identity_map
from perennial.common.contracts.base import Event, utc_now
from perennial.common.contracts.loyalty import PointsEarned, PointsReversed
from perennial.common.db import WriteSession, settings_of
from perennial.common.ids import digest_uuid
from perennial.loyalty.orders import queries
from perennial.loyalty.orders.facts import OrderEvent, Points, Purchase, gather
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Lot, Posting, cut, issue
from perennial.loyalty.programme import service as programmes
from perennial.loyalty.programme.definition import POINTS
from perennial.loyalty.programme.earning import Earner, in_force

log = structlog.get_logger()


async def account_for(session: WriteSession, events: Sequence[OrderEvent]) -> None:
    """Earn for orders and reverse for refunds, each order once, in a constant number of statements.

    Events may come in any sequence and as often as they like: what is posted is the difference between what the order
    should have brought by all that is known of it, and what it has brought.
    """
    orders, zone = gather(events), settings_of(session).zone
    earners = await programmes.history(session)
    purchases = await _heard(session, orders, await _worth(session, earners, events))
    lots = [lot for item, before in purchases.values() for lot in _lots(earners, item, before, zone)]
    references = {item.id: item.order_id for item, _ in purchases.values()}
    postings = [issue(lot, "earn", "order", references.get(lot.purchase_id or lot.id)) for lot in lots]
    wanted = {key: owed for key, (item, _) in purchases.items() if (owed := item.owes())}
    if wanted:
        concerned = {item.via for item, _ in purchases.values() if item.via is not None}
        await ledger.lock_accounts(session, concerned)
    live = {key for key, heard in orders.items() if any(event.live for event in heard)}
    bought = {key for key in live if any(event.live and event.what != "refunded" for event in orders[key])}
    owners = await identity_map.customers_of(session, {item.via for item, _ in purchases.values() if item.via})
    await points.book(session, postings, lots, *_earned(lots, postings, owners, bought))
    if wanted:
        reversals = await _reversals(session, purchases, wanted, orders)
        facts = [_reversed(item, owners) for key, items in reversals.items() if key in live for item in items]
        await points.book(session, [item for items in reversals.values() for item in items], (), *facts)
    await _mark(session, purchases.values(), owners, live)
    log.debug("orders.accounted", orders=len(orders), earned=sum(lot.points for lot in lots))


async def _worth(session: WriteSession, earners: Sequence[Earner], events: Sequence[OrderEvent]) -> dict[UUID, Points]:
    """The points of each event that states an order's worth."""
    stating = [event for event in events if event.what != "refunded"]
    tiers: Mapping[UUID, str] = {}
    if any(earner.by_tier for earner in earners):
        tiers = await queries.tiers(session, {event.via for event in stating})
    return {
        event.id: in_force(earners, event.at).points(
            event.via, event.at, event.amount, event.properties, tiers.get(event.via)
        )
        for event in stating
    }


async def _heard(
    session: WriteSession, orders: Mapping[UUID, list[OrderEvent]], worth: Mapping[UUID, Points]
) -> dict[UUID, tuple[Purchase, Points]]:
    """Orders with all that is known of them now, their `earned` already raised, and what that was before."""
    fresh = {
        key: _tell(Purchase(key, heard[0].source, heard[0].order_id), heard, worth) for key, heard in orders.items()
    }
    refunds = [event for heard in orders.values() for event in heard if event.what == "refunded"]
    refunded = {event.purchase_id for event in refunds}
    for key, item in fresh.items():
        item.earned = {} if key in refunded else item.target[0]
    new = await queries.insert(session, list(fresh.values()))
    result: dict[UUID, tuple[Purchase, Points]] = {key: (item, {}) for key, item in fresh.items() if key in new}
    again = [key for key in fresh if key not in new or key in refunded]
    if again:
        await queries.add_refunds(session, refunds)
        known = await queries.lock(session, again)
        for key, item in known.items():
            before = item.earned
            _tell(item, orders[key], worth)
            item.earned = item.target[0]
            result[key] = (item, before)
        await queries.update(session, list(known.values()))
    return result


def _tell(item: Purchase, heard: Iterable[OrderEvent], worth: Mapping[UUID, Points]) -> Purchase:
    for event in heard:
        if event.what != "refunded":
            item.hear(event, worth[event.id])
    return item


def _lots(earners: Sequence[Earner], item: Purchase, before: Points, zone: tzinfo) -> Iterator[Lot]:
    """The lots of what an order earns beyond `before`, one for each currency, dated by its completion."""
    completed, via = item.completed, item.via
    if completed is None or via is None:
        return  # nothing is earned before
    programme = in_force(earners, completed.at).programme
    for currency, earned in item.earned.items():
        had = before.get(currency, 0)
        if earned > had:
            rules = programme.currency(currency)
            active_at = completed.at + timedelta(days=rules.pending_days)
            yield Lot(
                _lot_id(item.id, currency, had), via, earned - had, completed.at, active_at,
                rules.expiry.after(completed.at, zone), item.id,
                state="pending" if active_at > utc_now() else "active", currency=currency,
            )  # fmt: skip


def _lot_id(purchase: UUID, currency: str, before: int) -> UUID:
    """Made of its cause; lots of points bear the names that they had when there was no other currency."""
    named = () if currency == POINTS else (currency,)
    return digest_uuid("earn", str(purchase), str(before), *named)


async def _reversals(
    session: WriteSession,
    purchases: Mapping[UUID, tuple[Purchase, Points]],
    wanted: Mapping[UUID, Points],
    orders: Mapping[UUID, list[OrderEvent]],
) -> dict[UUID, list[Posting]]:
    """What takes back what refunds ask for, from the lots that the orders brought; never what has expired."""
    made: dict[UUID, list[Posting]] = {}
    for key, lots in (await ledger.lots_of_purchases(session, wanted)).items():
        item, _ = purchases[key]
        made[key] = _cuts(lots, wanted[key], _moment(item, orders[key]), item.order_id)
        taken = Counter(item.reversed)
        for posting in made[key]:
            taken[posting.currency] -= posting.points + posting.pending
        item.reversed = dict(taken)
    await queries.update(session, [purchases[key][0] for key in made])
    return made


def _cuts(lots: Sequence[Lot], wanted: Points, at: datetime, order_id: str) -> list[Posting]:
    made, left = [], dict(wanted)
    for lot in lots:
        taken = min(left.get(lot.currency, 0), lot.standing)
        if taken:
            made.append(cut(lot, "reverse", taken, at, "refund", order_id))
            left[lot.currency] -= taken
    return made


def _moment(item: Purchase, heard: Iterable[OrderEvent]) -> datetime:
    """When the points went back: with the last refund heard, but not before the order."""
    moments = [event.at for event in heard]
    return max([*moments, item.completed.at] if item.completed else moments)


def _earned(
    lots: Sequence[Lot], postings: Sequence[Posting], owners: Mapping[UUID, UUID], live: set[UUID]
) -> list[Event]:
    return [
        PointsEarned(
            posting_id=posting.id, via=lot.via, customer=owners.get(lot.via, lot.via), points=lot.points,
            reason=posting.reason, reference=posting.reference, currency=lot.currency, occurred_at=lot.earned_at,
        )
        for lot, posting in zip(lots, postings, strict=True)
        if lot.purchase_id in live
    ]  # fmt: skip


def _reversed(posting: Posting, owners: Mapping[UUID, UUID]) -> PointsReversed:
    return PointsReversed(
        posting_id=posting.id, via=posting.via, customer=owners.get(posting.via, posting.via),
        points=-posting.points - posting.pending, reference=posting.reference, currency=posting.currency,
        occurred_at=posting.at,
    )  # fmt: skip


async def _mark(
    session: WriteSession, purchases: Iterable[tuple[Purchase, Points]], owners: Mapping[UUID, UUID], live: set[UUID]
) -> None:
    """Have the customers' tiers and lot uses derived."""
    flags: dict[UUID, bool] = {}
    for item, _ in purchases:
        owner = owners.get(item.via) if item.via else None
        if owner:
            flags[owner] = flags.get(owner, False) or item.id in live
    await derive.mark(session, [customer for customer, is_live in flags.items() if is_live], live=True)
    imported = [customer for customer, is_live in flags.items() if not is_live]
    await derive.mark(session, imported, live=False, settle=True)
