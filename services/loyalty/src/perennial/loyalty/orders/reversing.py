"""What refunds take back, from the lots that the orders brought, as far as the currency's policy lets them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from perennial.common import identity_map
from perennial.common.db import WriteSession
from perennial.loyalty.orders import queries
from perennial.loyalty.orders.facts import OrderEvent, Points, Purchase
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.points.posting import Lot, Posting, cut
from perennial.loyalty.programme.definition import Programme
from perennial.loyalty.programme.earning import Earner, in_force

Purses = dict[tuple[UUID, str], int]
"""What customers can spend of each currency."""


async def hold(session: WriteSession, items: Iterable[Purchase]) -> None:
    """Hold the accounts of the orders' customers, so that what is left of their lots stays as it is."""
    vias = {item.via for item in items if item.via is not None}
    owners = await identity_map.customers_of(session, vias)
    others = await identity_map.vias_of(session, owners.values())
    await ledger.lock_accounts(session, vias.union(*others.values()))


async def reverse(  # noqa: PLR0913 (all that is known of a batch)
    session: WriteSession,
    earners: Sequence[Earner],
    items: Mapping[UUID, Purchase],
    wanted: Mapping[UUID, Points],
    orders: Mapping[UUID, list[OrderEvent]],
    fresh: Collection[UUID],
) -> dict[UUID, list[Posting]]:
    """What takes back what refunds ask for; never what has expired. `fresh` lots are of this very transaction."""
    made: dict[UUID, list[Posting]] = {}
    owners, purses = await _purses(session, [items[key] for key in wanted])
    for key, lots in (await ledger.lots_of_purchases(session, wanted)).items():
        item = items[key]
        programme = in_force(earners, item.completed.at if item.completed else orders[key][0].at).programme
        cutting = Cutting(programme, _moment(item, orders[key]), item.order_id, fresh)
        made[key] = cutting.cut(lots, wanted[key], owners, purses)
        taken, waived = Counter(item.reversed), Counter(item.waived)
        for posting in made[key]:
            taken[posting.currency] -= posting.points + posting.pending
        waived.update(cutting.waived)
        item.reversed, item.waived = dict(taken), dict(waived)
    await queries.update(session, [items[key] for key in made])
    return made


async def _purses(session: WriteSession, items: Sequence[Purchase]) -> tuple[Mapping[UUID, UUID], Purses]:
    owners = await identity_map.customers_of(session, {item.via for item in items if item.via is not None})
    everybody = await identity_map.vias_of(session, owners.values())
    of = {via: customer for customer, vias in everybody.items() for via in vias} | owners
    purses: Purses = {}
    for (via, currency), balance in (await queries.balances(session, of)).items():
        purses[of[via], currency] = purses.get((of[via], currency), 0) + balance
    return of, purses


class Cutting:
    """The reversal of one order: what is pending goes first, then the newest."""

    def __init__(self, programme: Programme, at: datetime, order_id: str, fresh: Collection[UUID]) -> None:
        self._programme, self._at, self._order_id, self._fresh = programme, at, order_id, fresh
        self.waived: Counter[str] = Counter()

    def cut(self, lots: Sequence[Lot], wanted: Points, owners: Mapping[UUID, UUID], purses: Purses) -> list[Posting]:
        """The postings; what the policy leaves to the customer is noted, so that it is not asked for again."""
        made, left = [], dict(wanted)
        for lot in lots:
            asked = min(left.get(lot.currency, 0), lot.standing)
            if not asked:
                continue
            purse = (owners.get(lot.via, lot.via), lot.currency)
            taken = self._allowed(lot, asked, purses.get(purse, 0))
            left[lot.currency] -= asked
            self.waived[lot.currency] += asked - taken
            if taken:
                made.append(cut(lot, "reverse", taken, self._at, "refund", self._order_id))
                purses[purse] = purses.get(purse, 0) - (taken if lot.state == "active" else 0)
        self.waived = +self.waived
        return made

    def _allowed(self, lot: Lot, asked: int, balance: int) -> int:
        policy = self._programme.currency(lot.currency).refund_policy
        if policy == "unlimited" or lot.state == "pending":
            return asked
        if policy == "only_pending":
            return asked if lot.id in self._fresh and lot.active_at > self._at else 0
        return max(0, min(asked, balance))


def _moment(item: Purchase, heard: Iterable[OrderEvent]) -> datetime:
    """When the points went back: with the last refund heard, but not before the order."""
    moments = [event.at for event in heard]
    return max([*moments, item.completed.at] if item.completed else moments)
