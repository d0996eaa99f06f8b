"""The verb of orders: account for what their events say."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from uuid import UUID

import structlog

from perennial.common import audit, derive, identity_map
from perennial.common.auth import Principal
from perennial.common.beside import beside
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import PointsReversed
from perennial.common.db import WriteSession, settings_of
from perennial.common.ids import digest_uuid, spelled
from perennial.common.web import NotFound
from perennial.loyalty.earning import queries as uses
from perennial.loyalty.earning.known import Known, hold, know, remember
from perennial.loyalty.fields import POINTS
from perennial.loyalty.orders import queries, releasing, reversing
from perennial.loyalty.orders.facts import OrderEvent, Points, Purchase, Stated, gather
from perennial.loyalty.orders.stating import grant, state
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.points import service as points
from perennial.loyalty.points import telling
from perennial.loyalty.points.posting import Lot, Posting, issue
from perennial.loyalty.programme import service as programmes
from perennial.loyalty.programme.earning import Earner, in_force

log = structlog.get_logger()

Brought = tuple[Lot, Posting]
"""A lot, and the posting that brings it."""


@dataclass(frozen=True)
class Released:
    """An order whose points wait no longer, and what that let be spent."""

    purchase_id: UUID
    source: str
    order_id: str
    customer_id: UUID
    points: Points
    posting_ids: list[UUID]


async def account_for(session: WriteSession, events: Sequence[OrderEvent]) -> None:
    """Earn for orders and reverse for refunds, each order once, in a constant number of statements.

    Events may come in any sequence and as often as they like: what is posted is the difference between what the order
    should have brought by all that is known of it, and what it has brought.
    """
    orders, zone = gather(events), settings_of(session).zone
    earners = await programmes.history(session)
    people = {event.via for event in events} | await _holders(session, earners, orders)
    known = await know(session, earners, people)
    items, earned, again = await _heard(session, earners, orders, known, zone)
    wanted = {key: owed for key in again if (owed := items[key].owes())}
    if wanted:
        await reversing.hold(session, {item.via for item in items.values() if item.via is not None})
    live = {event.purchase_id.int for event in events if event.live}  # by the integer: hashing a UUID is slow
    bought = {event.purchase_id.int for event in events if event.live and event.what != "refunded"}
    owners = await identity_map.customers_of(session, {item.via for item in items.values() if item.via})
    lots, postings = [lot for lot, _ in earned], [posting for _, posting in earned]
    said = [pair for pair in earned if pair[0].purchase_id and pair[0].purchase_id.int in bought]
    await points.book(session, postings, lots, encoded=lambda: telling.earned(said, owners))
    delivered = {event.purchase_id for event in events if event.what == "delivered"}
    await releasing.follow(session, earners, [items[key] for key in sorted(delivered)])
    if wanted:
        fresh = {lot.id for lot in lots}
        reversals = await reversing.reverse(session, earners, items, wanted, orders, fresh)
        facts = [_reversed(item, owners) for key, made in reversals.items() if key.int in live for item in made]
        await points.book(session, [item for made in reversals.values() for item in made], (), *facts)
    await _mark(session, items.values(), owners, live)
    log.debug("orders.accounted", orders=len(orders), earned=sum(lot.points for lot in lots))


async def _holders(
    session: WriteSession, earners: Sequence[Earner], orders: Mapping[UUID, list[OrderEvent]]
) -> set[UUID]:
    """Hold the customers concerned, where it matters what they have had; returns who owned the orders before."""
    if not any(earner.guarded for earner in earners):
        return set()
    before = await queries.vias(session, list(orders))
    await hold(session, before.union(event.via for heard in orders.values() for event in heard))
    return before


async def _heard(
    session: WriteSession, earners: Sequence[Earner], orders: Mapping[UUID, list[OrderEvent]], known: Known,
    zone: tzinfo,
) -> tuple[dict[UUID, Purchase], list[Brought], Collection[UUID]]:  # fmt: skip
    """Orders with all that is known of them now, their `earned` already raised, and the lots of what that adds.

    Also which of them were heard of before, or refunded: of no other can anything be taken back.
    """
    stated = state(earners, [event for heard in orders.values() for event in heard], known, zone)
    fresh = {
        key: _tell(Purchase(key, heard[0].source, heard[0].order_id), heard, stated) for key, heard in orders.items()
    }
    refunds = [event for heard in orders.values() for event in heard if event.what == "refunded"]
    limited = any(earner.limited for earner in earners)
    late = set(fresh) if limited else {event.purchase_id for event in refunds}
    for key, item in fresh.items():
        item.earned = {} if late and key in late else item.target[0]
    simple = all(event.what == "completed" for heard in orders.values() for event in heard)
    new, now = list(fresh.values()), utc_now()

    async def lots_of_all() -> list[list[Brought]]:
        return [list(_lots(earners, item, {}, zone, now)) for item in new]

    old, made = await beside(queries.insert(session, new, fresh=simple), lots_of_all)
    again = [key for key in fresh if key in old or key in late] if old or late else []
    if again:
        lots = dict(zip(fresh, made, strict=True))
        await queries.add_refunds(session, refunds)
        found = await queries.lock(session, again)
        before = {key: (item.stated if key in old else None, item.earned) for key, item in found.items()}
        for key, item in found.items():
            _tell(item, orders[key], stated)
        if limited:
            changed = [item for key, item in found.items() if _restated(before[key][0], item)]
            await _grant(session, earners, changed, known, zone)
        for key, item in found.items():
            item.earned = item.target[0]
            fresh[key], lots[key] = item, list(_lots(earners, item, before[key][1], zone, now))
        made = list(lots.values())
        await queries.update(session, list(found.values()))
    return fresh, [pair for each in made for pair in each], again


def _restated(before: Stated | None, item: Purchase) -> bool:
    return item.stated is not None and (before is None or before.by != item.stated.by)


async def _grant(
    session: WriteSession, earners: Sequence[Earner], items: Sequence[Purchase], known: Known, zone: tzinfo
) -> None:
    """Give orders the points that caps leave them."""
    vias = {item.via for item in items if item.via is not None}
    strangers = vias - known.owners.keys()  # completed by another identifier while we waited for the order
    if strangers:
        await hold(session, strangers)
        known.owners.update(await identity_map.customers_of(session, strangers))
    moments = [item.completed.at for item in items if item.completed is not None]
    await remember(session, known, earners, vias, moments, zone)
    made = grant(earners, items, known, zone)
    await uses.replace_uses(session, list(made), [use for given in made.values() for use in given])


def _tell(item: Purchase, heard: Iterable[OrderEvent], stated: Mapping[UUID, Stated]) -> Purchase:
    for event in heard:
        item.hear(event, stated.get(event.id))
    return item


def _lots(earners: Sequence[Earner], item: Purchase, before: Points, zone: tzinfo, now: datetime) -> Iterator[Brought]:
    """The lots of what an order earns beyond `before`, one for each currency, dated by its completion."""
    completed, via = item.completed, item.via
    if completed is None or via is None:
        return  # nothing is earned before
    programme = in_force(earners, completed.at).programme
    for currency, earned in item.earned.items():
        had = before.get(currency, 0)
        if earned > had:
            rules = programme.currency(currency)
            active_at = releasing.active_at(item, rules) or completed.at
            lot = Lot(
                _lot_id(item.id, currency, had), via, earned - had, completed.at, active_at,
                rules.expiry.after(completed.at, zone), item.id,
                state="pending" if active_at > now else "active", currency=currency,
            )  # fmt: skip
            yield lot, issue(lot, "earn", "order", item.order_id)


def _lot_id(purchase: UUID, currency: str, before: int) -> UUID:
    """Made of its cause; lots of points bear the names that they had when there was no other currency."""
    named = () if currency == POINTS else (currency,)
    return digest_uuid("earn", spelled(purchase), str(before), *named)


async def release(session: WriteSession, principal: Principal, source: str, order_id: str) -> Released:
    """Let what an order earned be spent now, whatever it waits for. Raises NotFound."""
    key, now = digest_uuid(source, order_id), utc_now()
    item = (await queries.lock(session, [key])).get(key)
    if item is None or item.completed is None or item.via is None:
        raise NotFound(f"order_id: nothing is known of an order {order_id} of {source}", pointer="/order_id")
    item.released_at = min(item.released_at or now, now)
    await queries.update(session, [item])
    await ledger.lock_accounts(session, [item.via])  # before its lots, as everybody does
    await releasing.follow(session, await programmes.history(session), [item])
    lots = (await ledger.lots_of_purchases(session, releasing.brought([item]))).get(key, [])
    made = await points.activate_lots(session, [lot for lot in lots if lot.state == "pending" and lot.active_at <= now])
    total: Counter[str] = Counter()
    for posting in made:
        total[posting.currency] += posting.points
    await audit.record(session, principal, "loyalty.released", str(key), {"points": dict(total)})
    owner = (await identity_map.customer_of(session, item.via)) or item.via
    return Released(key, source, order_id, owner, dict(total), [posting.id for posting in made])


def _reversed(posting: Posting, owners: Mapping[UUID, UUID]) -> PointsReversed:
    return PointsReversed(
        posting_id=posting.id, via=posting.via, customer=owners.get(posting.via, posting.via),
        points=-posting.points - posting.pending, reference=posting.reference, currency=posting.currency,
        occurred_at=posting.at,
    )  # fmt: skip


async def _mark(
    session: WriteSession, purchases: Iterable[Purchase], owners: Mapping[UUID, UUID], live: set[int]
) -> None:
    """Have the customers' tiers and lot uses derived."""
    flags: dict[UUID, bool] = {}
    for item in purchases:
        owner = owners.get(item.via) if item.via else None
        if owner:
            flags[owner] = flags.get(owner, False) or item.id.int in live
    await derive.mark(session, [customer for customer, is_live in flags.items() if is_live], live=True)
    imported = [customer for customer, is_live in flags.items() if not is_live]
    await derive.mark(session, imported, live=False, settle=True)
