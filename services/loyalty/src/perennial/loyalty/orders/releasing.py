"""When an order's points can be spent: some days after it, after its delivery, or when somebody says so."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from perennial.common.db import WriteSession
from perennial.loyalty.orders import queries
from perennial.loyalty.orders.facts import Purchase
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.programme.definition import Currency
from perennial.loyalty.programme.earning import Earner, in_force

FAR = datetime(9999, 1, 1, tzinfo=UTC)
"""Until then waits what nobody has said was delivered."""


def active_at(item: Purchase, rules: Currency) -> datetime | None:
    """When what an order earns of a currency becomes active; None before it is completed."""
    if item.completed is None:
        return None
    begun = item.completed.at
    if rules.pending_until == "earned":
        due = begun + timedelta(days=rules.pending_days) if rules.pending_days else begun
    else:
        most = rules.pending_at_most_days
        due = FAR if most is None else begun + timedelta(days=most)
        if item.delivered_at is not None:
            due = min(due, max(begun, item.delivered_at) + timedelta(days=rules.pending_days))
    return due if item.released_at is None else min(due, max(begun, item.released_at))


def brought(items: Iterable[Purchase]) -> list[tuple[UUID, UUID, datetime]]:
    """What the lots of orders are found by; those that are not completed have none."""
    return [(item.id, item.via, item.completed.at) for item in items if item.via and item.completed]


async def follow(session: WriteSession, earners: Sequence[Earner], items: Iterable[Purchase]) -> list[UUID]:
    """Let what orders have pending become active when it should by now; returns the lots that wait no longer so."""
    found = {item.id: item for item in items if item.completed is not None}
    if not found:
        return []
    moved: dict[UUID, datetime] = {}
    for key, lots in (await ledger.lots_of_purchases(session, brought(found.values()))).items():
        item = found[key]
        programme = in_force(earners, item.completed.at if item.completed else FAR).programme
        for lot in lots:
            due = active_at(item, programme.currency(lot.currency))
            if lot.state == "pending" and due is not None and due != lot.active_at:
                moved[lot.id] = due
    await queries.move_active(session, moved)
    return sorted(moved)
