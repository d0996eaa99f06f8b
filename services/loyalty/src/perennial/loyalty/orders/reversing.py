"""What refunds take back, from the lots that the orders brought, as far as the currency's policy lets them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from perennial.common import identity_map
from perennial.common.db import WriteSession
from perennial.loyalty.orders import queries, releasing
from perennial.loyalty.orders.facts import OrderEvent, Points, Purchase
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.points.posting import Lot, Posting, cut
from perennial.loyalty.programme.definition import Programme
from perennial.loyalty.programme.earning import Earner, in_force

Purses = dict[tuple[UUID, str], int]
"""What customers can spend of each currency."""


async def hold(session: WriteSession, vias: Collection[UUID]) -> None:
    """Hold the accounts of the identifiers' customers, so that what is left of their lots stays as it is."""
    owners = await identity_map.customers_of(session, vias)
    others = await identity_map.vias_of(session, owners.values())
    await ledger.lock_accounts(session, set(vias).union(*others.values()))


async def reverse(
    session: WriteSession,
    earners: Sequence[Earner],
    items: Mapping[UUID, Purchase],
    wanted: Mapping[UUID, Points],
    orders: Mapping[UUID, list[OrderEvent]],
    fresh: Collection[UUID],
) -> dict[UUID, list[Posting]]:
    """What takes back what refunds ask for; never what has expired. `fresh` lots are of this very transaction."""
    made: dict[UUID, list[Posting]] = {}
    owners, purses = await purses_of(session, {item.via for key in wanted if (item := items[key]).via is not None})
    brought = releasing.brought(items[key] for key in wanted)
    for key, lots in (await ledger.lots_of_purchases(session, brought)).items():
        item = items[key]
        programme = in_force(earners, item.completed.at if item.completed else orders[key][0].at).programme
        at = _moment(item, orders[key])
        cutting = Cutting(programme, at, item.refunded_at or at, "refund", item.order_id, fresh)
        made[key] = cutting.cut(lots, wanted[key], owners, purses)
        taken, waived = Counter(item.reversed), Counter(item.waived)
        for posting in made[key]:
            taken[posting.currency] -= posting.points + posting.pending
        waived.update(cutting.waived)
        item.reversed, item.waived = dict(taken), dict(waived)
    await queries.update(session, [items[key] for key in made])
    return made


async def purses_of(session: WriteSession, vias: Collection[UUID]) -> tuple[Mapping[UUID, UUID], Purses]:
    """Whose identifiers these are and all others of theirs, and what those customers can spend."""
    owners = await identity_map.customers_of(session, vias)
    everybody = await identity_map.vias_of(session, owners.values())
    of = {via: customer for customer, held in everybody.items() for via in held} | owners
    purses: Purses = {}
    for (via, currency), balance in (await queries.balances(session, of)).items():
        purses[of[via], currency] = purses.get((of[via], currency), 0) + balance
    return of, purses


@dataclass
class Cutting:
    """A reversal, posted `at`, of what was asked back first at `asked_at`: what is pending goes first, then the newest.

    `fresh` lots are of this very transaction.
    """

    programme: Programme
    at: datetime
    asked_at: datetime
    reason: str
    reference: str
    fresh: Collection[UUID] = ()
    waived: Counter[str] = field(default_factory=Counter)

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
                made.append(cut(lot, "reverse", taken, self.at, self.reason, self.reference))
                purses[purse] = purses.get(purse, 0) - (taken if lot.state == "active" else 0)
        self.waived = +self.waived
        return made

    def _allowed(self, lot: Lot, asked: int, balance: int) -> int:
        policy = self.programme.currency(lot.currency).refund_policy
        if policy == "unlimited" or lot.state == "pending":
            return asked
        if policy == "only_pending":
            return asked if lot.id in self.fresh and lot.active_at > self.asked_at else 0
        return max(0, min(asked, balance))


def _moment(item: Purchase, heard: Iterable[OrderEvent]) -> datetime:
    """When the points went back: with the last refund heard, but not before the order."""
    moments = [event.at for event in heard]
    return max([*moments, item.completed.at] if item.completed else moments)
