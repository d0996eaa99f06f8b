"""Refunds, spendings and the passing of time in any sequence: each policy keeps its promise, and the books balance."""

from datetime import UTC, datetime, timedelta
from math import floor
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.problems import Conflict
from perennial.common.testing.events import tracked
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Posting

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ORDERS = 3
which = st.integers(0, ORDERS - 1)
step = st.one_of(
    st.tuples(st.just("order"), which, st.integers(0, 300)),
    st.tuples(st.just("update"), which, st.integers(0, 300)),
    st.tuples(st.just("refund"), which, st.none() | st.integers(0, 200)),
    st.tuples(st.just("deliver"), which, st.just(0)),
    st.tuples(st.just("spend"), st.integers(1, 100), st.just(0)),
    st.tuples(st.just("activate"), st.integers(0, 10), st.just(0)),
)


class Bank:
    """One person with two identifiers, and what the shop has said of each order."""

    def __init__(self, shop: Any) -> None:
        self.shop = shop
        self.vias = [uuid7(), uuid7()]
        self.now = datetime.now(UTC) + timedelta(hours=12)  # so that what waits is not due just now
        self.worth: dict[int, int] = {}
        self.completed: set[int] = set()
        self.updated: set[int] = set()
        self.back: dict[int, list[int | None]] = {}

    async def balance(self) -> int:
        found = "SELECT coalesce(sum(balance), 0) FROM account WHERE via = ANY(:vias)"
        return int(await self.shop.session.scalar(text(found), {"vias": self.vias}))

    async def say(self, name: str, order: int, **more: Any) -> None:
        self.now += timedelta(seconds=1)
        said = {"order_id": str(order), **more}
        via = self.vias[order % 2]
        await self.shop.say(tracked(name, said, via=via, customer=self.vias[0], at=self.now))

    async def order(self, order: int, worth: int) -> None:
        if order not in self.completed | self.updated:
            self.worth[order] = worth
        self.completed.add(order)
        if order in self.updated:  # told before: an update of then is older than the order
            self.worth[order] = worth
            self.updated.discard(order)
        await self.say("Order Completed", order, revenue=self.worth[order])

    async def update(self, order: int, worth: int) -> None:
        self.worth[order] = worth
        self.updated.add(order)
        await self.say("Order Updated", order, revenue=worth)

    async def refund(self, order: int, worth: int | None) -> None:
        self.back.setdefault(order, []).append(worth)
        await self.say("Order Refunded", order, **({} if worth is None else {"revenue": worth}))

    async def deliver(self, order: int, _: int) -> None:
        await self.say("Order Delivered", order)

    async def spend(self, percent: int, _: int) -> None:
        asked = max(1, await self.balance() * percent // 100)
        try:
            await points.spend(self.shop.session, Posting(uuid7(), "spend", self.vias[0], self.now, "coat", -asked))
        except Conflict:
            assert await self.balance() < asked

    async def activate(self, days: int, _: int) -> None:
        self.now += timedelta(days=days)
        while await points.activate_due(self.shop.session, self.now):
            pass

    def kept(self, order: int) -> int:
        back, worth = self.back.get(order, []), self.worth[order]
        given = sum(item or 0 for item in back)
        return 0 if None in back or given >= worth else worth - floor(given)

    async def check(self) -> None:
        """What was asked back is either reversed or left for good, and never both."""
        rows = await self.shop.session.execute(text("SELECT order_id, via, earned, reversed, waived FROM purchase"))
        for row in rows:
            if row.via is None:
                assert (row.earned, row.reversed) == ({}, {})
                continue
            earned, taken, left = (said.get("points", 0) for said in (row.earned, row.reversed, row.waived))
            assert earned - taken >= self.kept(int(row.order_id)), "nobody loses what the order is still worth"
            assert earned - taken <= self.kept(int(row.order_id)) + left


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    policy=st.sampled_from(["unlimited", "within_balance", "only_pending"]),
    waits=st.sampled_from([{"pending_days": 5}, {"pending_until": "delivered"}, {"pending_until": "delivered",
                                                                              "pending_at_most_days": 9}]),
    steps=st.lists(step, min_size=4, max_size=14),
)  # fmt: skip
async def test_each_policy_keeps_its_promise(shop: Any, policy: str, waits: Any, steps: Any) -> None:
    async with shop.session.begin_nested() as example:
        bank = Bank(shop)
        await shop.assign(bank.vias[0], *bank.vias)
        await shop.programme(LONG_AGO, currencies=[{"code": "points", "refund_policy": policy, **waits}])
        for name, *arguments in steps:
            before = await bank.balance()
            await getattr(bank, name)(*arguments)
            after = await bank.balance()
            await bank.check()
            await shop.prove()
            if name in {"refund", "update"} and policy == "only_pending":
                assert after == before
            if policy == "within_balance":
                assert after >= 0
        await example.rollback()
