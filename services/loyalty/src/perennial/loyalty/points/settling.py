"""Which lots were spent: derived from a customer's lots and spendings, earliest expiry first."""

import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Source:
    """A lot that can be spent, from `active_at` on; `points` is what stands of it."""

    id: UUID
    points: int
    active_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class Spending:
    """Points taken from the customer as a whole."""

    id: UUID
    points: int
    at: datetime


Uses = dict[tuple[UUID, UUID], int]
"""Points by spending and lot."""


def allocate(lots: Iterable[Source], spendings: Iterable[Spending]) -> Uses:
    """Replay them in the order of time: the same facts give the same uses, whenever they are asked.

    A spending takes what is active by then and has not expired, the earliest expiry first. What it does not find is
    owed, and the next lots that become active pay for it, the oldest debt first.
    """
    uses: Uses = {}
    coming = deque(sorted(lots, key=lambda lot: (lot.active_at, lot.id)))
    open_lots: list[tuple[datetime, datetime, UUID, int]] = []
    debts: deque[tuple[UUID, int]] = deque()

    def open_until(at: datetime) -> None:
        while coming and coming[0].active_at <= at:
            lot = coming.popleft()
            left = _repay(uses, debts, lot)
            if left:
                heapq.heappush(open_lots, (lot.expires_at or NEVER, lot.active_at, lot.id, left))

    for spending in sorted(spendings, key=lambda item: (item.at, item.id)):
        open_until(spending.at)
        owed = spending.points
        while owed and open_lots:
            expires_at, active_at, lot_id, left = heapq.heappop(open_lots)
            if expires_at <= spending.at:
                continue  # nor can anything later take it
            taken = min(owed, left)
            uses[spending.id, lot_id] = taken
            owed -= taken
            if left > taken:
                heapq.heappush(open_lots, (expires_at, active_at, lot_id, left - taken))
        if owed:
            debts.append((spending.id, owed))
    open_until(NEVER)
    return uses


def uncovered(spendings: Iterable[Spending], uses: Uses) -> int:
    """The points of spendings that no lot has paid for."""
    covered: dict[UUID, int] = {}
    for (spending, _), points in uses.items():
        covered[spending] = covered.get(spending, 0) + points
    return sum(item.points - covered.get(item.id, 0) for item in spendings)


def lent(
    spendings: Sequence[Spending], before: Uses, gone: Mapping[UUID, UUID], missing: int
) -> dict[tuple[UUID, UUID], int]:
    """What one side of a split owes the others, by spending and by who earned it.

    `before` is what the spendings of that side used while all were one customer, `gone` who earned the lots among it
    that are another's now, and `missing` how many points more than before the side cannot pay by itself.
    """
    owed: dict[tuple[UUID, UUID], int] = {}
    mine = {item.id: item for item in spendings}
    crossing = [(mine[key], lot, points) for (key, lot), points in before.items() if key in mine and lot in gone]
    for spending, lot, points in sorted(crossing, key=lambda use: (use[0].at, use[0].id, use[1])):
        taken = min(points, missing)
        if taken > 0:
            key = spending.id, gone[lot]
            owed[key] = owed.get(key, 0) + taken
            missing -= taken
    return owed


def _repay(uses: Uses, debts: deque[tuple[UUID, int]], lot: Source) -> int:
    """Pay debts from a new lot; returns what is left of it."""
    left = lot.points
    while left and debts:
        spending, owed = debts.popleft()
        taken = min(owed, left)
        uses[spending, lot.id] = taken
        left -= taken
        if owed > taken:
            debts.appendleft((spending, owed - taken))
    return left
