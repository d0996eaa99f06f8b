"""Anything, in any sequence: after every step the books balance and equal a naive oracle."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from math import floor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict
from perennial.common.testing.events import tracked
from perennial.loyalty.dates import add_months
from perennial.loyalty.orders import queries as orders
from perennial.loyalty.points import service
from perennial.loyalty.points.posting import Posting, give_back

PEOPLE, ORDERS = 3, 5
who, which, money = st.integers(0, PEOPLE - 1), st.integers(0, ORDERS - 1), st.integers(0, 30_000)
step = st.one_of(
    st.tuples(st.just("order"), which, who, money, st.sampled_from([0, 2, 4, 30, 90])),
    st.tuples(st.just("update"), which, who, money),
    st.tuples(st.just("refund"), which, who, st.none() | money),
    st.tuples(st.just("spend"), who, st.sampled_from([1, 30, 70, 100, 101])),
    st.tuples(st.just("give_back"), which),
    st.tuples(st.just("adjust"), who, st.integers(-100, 100).filter(bool)),
    st.tuples(st.just("advance"), st.sampled_from([1, 5, 40])),
    st.tuples(st.just("merge"), who, st.integers(1, PEOPLE - 1)),
    st.tuples(st.just("undo"), which),
)


@dataclass
class Lot:
    via: int
    points: int
    active_at: datetime
    expires_at: datetime
    number: int
    order: int | None = None
    active: bool = True
    reversed: int = 0
    expired: int = 0

    @property
    def standing(self) -> int:
        return self.points - self.reversed - self.expired


@dataclass
class Order:
    via: int
    completed: tuple[datetime, int] | None = None
    updated: tuple[datetime, int] | None = None
    refunds: list[int | None] = field(default_factory=list)
    earned: int = 0

    def worth(self) -> int:
        """In cents; an update of the same moment or later holds."""
        assert self.completed
        return self.updated[1] if self.updated and self.updated[0] >= self.completed[0] else self.completed[1]

    def kept(self) -> int:
        worth, points = self.worth(), self.worth() // 100
        back = sum(amount or 0 for amount in self.refunds)
        if None in self.refunds or (back and back >= worth):
            return 0
        return points - floor(Fraction(points * back, worth)) if worth else 0


class Oracle:
    """What should be, in the plainest words: lists, and every question answered from the beginning."""

    def __init__(self, begin: datetime) -> None:
        self.now = self.begin = begin
        self.owner = list(range(PEOPLE))
        self.lots: list[Lot] = []
        self.spendings: list[tuple[datetime, int, int, str]] = []
        self.orders: dict[int, Order] = {}
        self.merges: list[tuple[int, list[int]]] = []
        self.number = count()

    def issue(self, via: int, points: int, at: datetime, order: int | None = None) -> None:
        wait = timedelta(days=3 if order is not None else 0)
        expires_at = add_months(at, 2)
        lot = Lot(via, points, at + wait, expires_at, next(self.number), order)
        lot.active = order is None or lot.active_at <= self.begin - timedelta(hours=11)
        self.lots.append(lot)

    def account(self, number: int) -> None:
        """Earn and reverse what an order's facts ask for beyond what was done."""
        order = self.orders[number]
        if order.completed is None:
            return
        lots = [lot for lot in self.lots if lot.order == number]
        taken = sum(lot.reversed for lot in lots)
        earned = max(order.earned, order.worth() // 100, order.kept() + taken)
        if earned > order.earned:
            self.issue(order.via, earned - order.earned, order.completed[0], number)
            order.earned = earned
        wanted = earned - order.kept() - taken
        mine = [lot for lot in self.lots if lot.order == number]
        for lot in sorted(mine, key=lambda lot: (not lot.active, lot.active_at), reverse=True):
            cut = min(wanted, lot.standing)
            lot.reversed += cut
            wanted -= cut

    def balance(self, owner: int) -> int:
        mine = [lot.standing for lot in self.lots if self.owner[lot.via] == owner and lot.active]
        return sum(mine) - sum(item[2] for item in self.spendings if self.owner[item[1]] == owner)

    def used(self, owner: int) -> dict[int, int]:
        """Point by point: every spending in time, the earliest expiry first; debts are paid by the next lots."""
        lots = [lot for lot in self.lots if self.owner[lot.via] == owner and lot.active]
        left = {lot.number: lot.standing for lot in lots}
        owed = {at: points for at, via, points, _ in self.spendings if self.owner[via] == owner}
        for moment in sorted({lot.active_at for lot in lots} | set(owed)):
            while due := sorted(at for at, points in owed.items() if points and at <= moment):
                free = [
                    lot
                    for lot in lots
                    if left[lot.number] and lot.active_at <= moment and max(lot.active_at, lot.expires_at) > due[0]
                ]
                if not free:
                    break
                fresh = [lot for lot in free if lot.active_at == moment and due[0] < moment]
                chosen = fresh[0] if fresh else min(free, key=lambda lot: (lot.expires_at, lot.active_at))
                left[chosen.number] -= 1
                owed[due[0]] -= 1
        return {lot.number: lot.standing - left[lot.number] for lot in lots}

    def advance(self, days: int) -> None:
        """Let time pass, then run both jobs."""
        self.now += timedelta(days=days)
        for lot in self.lots:
            lot.active |= lot.active_at <= self.now
        for owner in set(self.owner):
            self.expire(owner, self.now)

    def expire(self, owner: int, at: datetime) -> None:
        """What one customer has not used in time is gone."""
        used = self.used(owner)
        for lot in self.lots:
            if self.owner[lot.via] == owner and lot.active and lot.expires_at <= at:
                lot.expired += lot.standing - used[lot.number]

    def figures(self, owner: int) -> dict[str, int]:
        lots = [lot for lot in self.lots if self.owner[lot.via] == owner]
        taken = [item for item in self.spendings if self.owner[item[1]] == owner]
        given = sum(lot.points for lot in lots if lot.order is None)
        return {
            "balance": self.balance(owner),
            "pending": sum(lot.standing for lot in lots if not lot.active),
            "earned": sum(lot.points for lot in lots if lot.order is not None),
            "spent": sum(points for _, _, points, kind in taken if kind == "spend"),
            "reversed": sum(lot.reversed for lot in lots),
            "expired": sum(lot.expired for lot in lots),
            "adjusted": given - sum(points for _, _, points, kind in taken if kind == "adjust"),
        }


class Machine:
    """Does each step to the service and to the oracle."""

    def __init__(self, shop: Any) -> None:
        self.shop = shop
        self.vias = sorted(uuid7() for _ in range(PEOPLE))
        # Half a day ahead: what waits whole days is never due just now.
        self.oracle = Oracle(datetime.now(UTC) + timedelta(hours=12))
        self.ticks = count()
        self.spent: list[tuple[Posting, tuple[datetime, int, int, str]]] = []
        self.principal = Principal("staff", "tester", frozenset({"*"}))

    def moment(self, days_ago: int = 0) -> datetime:
        """No two things happen at once."""
        return self.oracle.now - timedelta(days=days_ago) + timedelta(microseconds=next(self.ticks))

    async def say(self, name: str, number: int, via: int, cents: int | None, at: datetime) -> None:
        properties: dict[str, Any] = {"order_id": f"order {number}"}
        if cents is not None:
            properties["revenue"] = f"{cents // 100}.{cents % 100:02}"
        await self.shop.say(tracked(name, properties, via=self.vias[via], at=at))

    async def order(self, number: int, via: int, cents: int, days_ago: int) -> None:
        at = self.moment(days_ago)
        order = self.oracle.orders.setdefault(number, Order(via))
        if order.completed is None:
            order.via = via
        order.completed = min(order.completed or (at, cents), (at, cents))
        self.oracle.account(number)
        await self.say("Order Completed", number, via, cents, at)

    async def update(self, number: int, via: int, cents: int) -> None:
        at = self.moment()
        self.oracle.orders.setdefault(number, Order(via)).updated = (at, cents)
        self.oracle.account(number)
        await self.say("Order Updated", number, via, cents, at)

    async def refund(self, number: int, via: int, cents: int | None) -> None:
        self.oracle.orders.setdefault(number, Order(via)).refunds.append(cents)
        self.oracle.account(number)
        await self.say("Order Refunded", number, via, cents, self.moment())

    async def spend(self, via: int, percent: int) -> None:
        at = self.moment()
        self.oracle.expire(self.oracle.owner[via], at)
        points = max(1, self.oracle.balance(self.oracle.owner[via]) * percent // 100)
        posting = Posting(uuid7(), "spend", self.vias[via], at, "coat", -points)
        enough = self.oracle.balance(self.oracle.owner[via]) >= points
        try:
            await service.spend(self.shop.session, posting)
        except Conflict:
            assert not enough
            return
        assert enough
        self.oracle.spendings.append((at, via, points, "spend"))
        self.spent.append((posting, self.oracle.spendings[-1]))

    async def give_back(self, number: int) -> None:
        """As though it had never been spent; what has expired meanwhile is gone at once."""
        if not self.spent:
            return
        at = self.moment()
        spent, item = self.spent.pop(number % len(self.spent))
        self.oracle.spendings.remove(item)
        self.oracle.expire(self.oracle.owner[item[1]], at)
        returned = give_back(spent.id, spent.via, spent.currency, -spent.points, at, "return")
        await service.give_back(self.shop.session, [returned], at)

    async def adjust(self, via: int, points: int) -> None:
        at, owner = self.moment(), self.oracle.owner[via]
        posting = Posting(uuid7(), "adjust", self.vias[owner], at, "by hand", points)
        if points > 0:
            self.oracle.issue(owner, points, at)
        else:
            self.oracle.spendings.append((at, owner, -points, "adjust"))
        await service.adjust(self.shop.session, self.principal, posting)

    async def advance(self, days: int) -> None:
        self.oracle.advance(days)
        for job in (service.activate_due, service.expire_due):
            while await job(self.shop.session, self.oracle.now):
                pass

    async def merge(self, one: int, further: int) -> None:
        survivor, gone = self.oracle.owner[one], self.oracle.owner[(one + further) % PEOPLE]
        if survivor != gone:
            moved = [via for via in range(PEOPLE) if self.oracle.owner[via] == gone]
            self.oracle.merges.append((gone, moved))
            await self._assign(survivor, moved)

    async def undo(self, number: int) -> None:
        """As identity would: a customer is always named after one of its own identifiers."""
        if not self.oracle.merges:
            return
        owner, moved = self.oracle.merges[number % len(self.oracle.merges)]
        after = [owner if via in moved else before for via, before in enumerate(self.oracle.owner)]
        if all(after[named] == named for named in after):
            self.oracle.merges.remove((owner, moved))
            await self._assign(owner, moved)

    async def _assign(self, owner: int, vias: list[int]) -> None:
        for via in vias:
            self.oracle.owner[via] = owner
        await self.shop.assign(self.vias[owner], *[self.vias[via] for via in vias])

    async def check(self) -> None:
        await self.shop.prove()
        rows = await self.shop.session.execute(
            text("SELECT l.via, sum(u.points) AS points FROM lot_use u JOIN lot l ON l.id = u.lot_id GROUP BY l.via")
        )
        used = {self.vias.index(row.via): row.points for row in rows}
        by_lot = {lot.number: lot.via for lot in self.oracle.lots}
        expected: dict[int, int] = {}
        for owner in sorted(set(self.oracle.owner)):
            account = await self.shop.account(self.vias[owner])
            figures = self.oracle.figures(owner)
            assert {name: getattr(account, name) for name in figures} == figures
            for number, points in self.oracle.used(owner).items():
                expected[by_lot[number]] = expected.get(by_lot[number], 0) + points
        assert used == {via: points for via, points in expected.items() if points}


@pytest.mark.parametrize("many", [1, 100], ids=["as though many", "one by one"])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(step, min_size=8, max_size=30))
async def test_after_every_step_the_books_equal_the_oracle(
    shop: Any, monkeypatch: pytest.MonkeyPatch, many: int, steps: list[tuple[Any, ...]]
) -> None:
    monkeypatch.setattr(orders, "MANY", many)
    async with shop.session.begin_nested() as example:
        machine = Machine(shop)
        await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), pending_days=3, expiry_months=2)
        for via in machine.vias:
            await shop.assign(via, via)
        for name, *arguments in steps:
            await getattr(machine, name)(*arguments)
            await machine.check()
        await example.rollback()
