"""Orders, refunds, merges, programmes in any sequence, late or not: each step ends in the tier of the plain words."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.contracts.loyalty import TiersChanged
from perennial.common.db import WriteSession
from perennial.common.derive import Derivation, Stale, derive_once
from perennial.common.ids import uuid7
from perennial.common.timers import Timer
from perennial.loyalty.tiers import service

BEGIN, TICK = datetime(2024, 12, 20, 12, tzinfo=UTC), timedelta(hours=12)
NEEDS = ((100, None, None), (200, 15000, None), (400, 40000, 4))
PEOPLE, ORDERS = 3, 6
who, which, cents = st.integers(0, PEOPLE - 1), st.integers(0, ORDERS - 1), st.integers(1, 30_000)
plains = st.fixed_dictionaries(
    {
        "period": st.sampled_from(["rolling", "calendar"]),
        "days": st.sampled_from([5, 20]),
        "calendar": st.sampled_from(["month", "quarter"]),
        "down": st.sampled_from(["balance", "one_step", "soft_landing"]),
        "grace": st.sampled_from([0, 0, 4]),
    }
)
step = st.one_of(
    st.tuples(st.just("order"), which, who, cents, st.sampled_from([0, 0, 1, 7, 30, -3])),
    st.tuples(st.just("order"), which, who, cents, st.sampled_from([0, 2, 11])),
    st.tuples(st.just("refund"), which, st.none() | cents),
    st.tuples(st.just("advance"), st.sampled_from([1, 3, 12, 50, 70])),
    st.tuples(st.just("merge"), who, st.integers(1, PEOPLE - 1)),
    st.tuples(st.just("undo"), which),
    st.tuples(st.just("programme"), plains),
)


@dataclass
class Order:
    via: int
    at: datetime
    cents: int
    refunds: list[int | None] = field(default_factory=list)

    def fact(self) -> tuple[datetime, tuple[int, int, int]]:
        back = sum(amount or 0 for amount in self.refunds)
        if None in self.refunds or back >= self.cents:
            return self.at, (0, 0, 0)
        points = self.cents // 100
        return self.at, (points - points * back // self.cents, self.cents - back, 1)


class Machine:
    """Does each step to the service, with a clock of its own."""

    def __init__(self, shop: Any, plain: Any, told_plainly: Any) -> None:
        self.shop, self.make, self.told_plainly = shop, plain, told_plainly
        self.vias = sorted(uuid7() for _ in range(PEOPLE))
        self.owner = list(range(PEOPLE))
        self.merges: list[tuple[int, list[int]]] = []
        self.orders: dict[int, Order] = {}
        self.now = BEGIN + 60 * TICK
        self.versions = 0

    async def programme(self, made: dict[str, Any]) -> None:
        self.plain = self.make(NEEDS, **made)
        self.versions += 1
        began = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=self.versions)
        await self.shop.programme(began, **self.plain.definition())
        await self.shop.session.execute(
            text("""INSERT INTO stale (customer_id, live)
                    SELECT customer_id, false FROM identity_map WHERE via = customer_id""")
        )

    async def order(self, number: int, via: int, cents: int, days_ago: int) -> None:
        if number in self.orders:
            return
        noon = BEGIN + (self.now - BEGIN) // timedelta(days=1) * timedelta(days=1)
        self.orders[number] = order = Order(via, noon - timedelta(days=days_ago), cents)
        revenue = f"{cents // 100}.{cents % 100:02}"
        await self.shop.order(self.vias[via], revenue, f"order {number}", at=order.at)

    async def refund(self, number: int, cents: int | None) -> None:
        if number not in self.orders:
            return
        order = self.orders[number]
        order.refunds.append(cents)
        amount = {} if cents is None else {"revenue": f"{cents // 100}.{cents % 100:02}"}
        await self.shop.refund(f"order {number}", via=self.vias[order.via], properties=amount, at=order.at)

    async def advance(self, ticks: int) -> None:
        self.now += ticks * TICK

    async def merge(self, one: int, further: int) -> None:
        survivor, gone = self.owner[one], self.owner[(one + further) % PEOPLE]
        if survivor != gone:
            moved = [via for via in range(PEOPLE) if self.owner[via] == gone]
            self.merges.append((gone, moved))
            await self._assign(survivor, moved)

    async def undo(self, number: int) -> None:
        if not self.merges:
            return
        owner, moved = self.merges[number % len(self.merges)]
        after = [owner if via in moved else before for via, before in enumerate(self.owner)]
        if all(after[named] == named for named in after):
            self.merges.remove((owner, moved))
            await self._assign(owner, moved)

    async def _assign(self, owner: int, vias: list[int]) -> None:
        for via in vias:
            self.owner[via] = owner
        await self.shop.assign(self.vias[owner], *[self.vias[via] for via in vias])

    async def settle(self) -> None:
        """Derive, and fire what is due, until nothing is left to do; as the loops would, by the machine's clock."""

        async def derive(session: WriteSession, stale: Stale) -> None:
            await service.refresh(session, stale, self.now)

        while True:
            await self.shop.session.execute(text("UPDATE stale SET at = now()"))
            while await derive_once(self.shop.session, Derivation(derive)):
                pass
            rows = await self.shop.session.execute(
                text("""DELETE FROM timer WHERE kind = 'tiers' AND due_at <= :now
                        RETURNING kind, key, due_at, payload, partition"""),
                {"now": self.now},
            )
            fired = [Timer(*row) for row in rows]
            if not fired:
                return
            await service.review(self.shop.session, fired)

    async def check(self) -> None:
        await self.settle()
        rows = await self.shop.session.execute(text("SELECT customer_id, tier FROM tier_state"))
        found = {self.vias.index(row.customer_id): row for row in rows}
        for owner in sorted(set(self.owner)):
            mine = [order for order in self.orders.values() if self.owner[order.via] == owner]
            facts = [fact for fact in (order.fact() for order in mine) if fact[0] <= self.now and any(fact[1])]
            expected = f"tier {self.told_plainly(self.plain, facts, self.now)}"
            assert (found[owner].tier if owner in found else "tier 0") == expected
            assert owner in found or not mine
        assert set(found) <= set(self.owner)


async def told_tiers(shop: Any) -> dict[UUID, str]:
    """What a listener knows by the versions of the facts."""
    known: dict[UUID, tuple[int, str]] = {}
    for fact in await shop.said(TiersChanged):
        for item in fact["tiers"]:
            customer = UUID(item["customer"])
            known[customer] = max(known.get(customer, (0, "")), (item["version"], item["tier"]))
    return {customer: tier for customer, (_, tier) in known.items()}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=plains, steps=st.lists(step, min_size=4, max_size=16))
async def test_every_step_ends_in_the_tier_of_the_plain_words(
    shop: Any, plain: Any, told_plainly: Any, made: dict[str, Any], steps: list[tuple[Any, ...]]
) -> None:
    async with shop.session.begin_nested() as example:
        machine = Machine(shop, plain, told_plainly)
        await machine.programme(made)
        for via in machine.vias:
            await shop.assign(via, via)
        for name, *arguments in steps:
            await getattr(machine, name)(*arguments)
            await machine.check()
        told = await told_tiers(shop)
        for row in await shop.session.execute(text("SELECT customer_id, tier FROM tier_state")):
            assert told[row.customer_id] == row.tier
        await example.rollback()
