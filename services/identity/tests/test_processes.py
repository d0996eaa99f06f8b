"""Several processes decide the same at once: one customer, one decision, no deadlock."""

import asyncio
from typing import Any

from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import Database
from perennial.common.runtime import Runtime
from perennial.identity.decider import Decider
from perennial.identity.decisions.service import Arrival

STAFF = Principal("staff", "ann", frozenset({"*"}))


async def test_two_processes_on_the_same_new_identifiers_make_one_customer(
    live_runtime: Runtime, committed: Database, accept: Any, whole: Any
) -> None:
    rivals = [Decider(live_runtime) for _ in range(4)]
    for round_ in range(10):
        bodies = [
            {"userId": f"u{round_}", "traits": {"email": f"u{round_}@x.cn"}},
            {"anonymousId": f"a{round_}", "traits": {"email": f"u{round_}@x.cn"}},
            {"anonymousId": f"a{round_}", "context": {"device": {"id": f"d{round_}"}}},
            {"userId": f"u{round_}", "context": {"device": {"id": f"d{round_}"}}},
        ]
        pulls = [
            Arrival.of(EventsAccepted("shop", [accept(**bodies[(n + k) % 4]) for k in range(4)]), 100 * round_ + n)
            for n in range(4)
        ]
        await asyncio.gather(*(rival.decide(pull) for rival, pull in zip(rivals, pulls, strict=True)))
    async with committed.read() as session:
        customers = await session.execute(text("SELECT count(DISTINCT customer_id), count(*) FROM identity_map"))
        assert tuple(customers.one()) == (10, 40)
        await whole(session)


async def test_two_processes_on_the_same_event_decide_it_once(live_runtime: Runtime, accept: Any) -> None:
    rivals = [Decider(live_runtime) for _ in range(2)]
    for round_ in range(10):
        events = [accept(userId=f"u{round_}-{n}") for n in range(20)]
        one, other = await asyncio.gather(
            rivals[0].decide(Arrival.of(EventsAccepted("shop", events), 1000 + round_)),
            rivals[1].decide(Arrival.of(EventsAccepted("shop", events[::-1]), 2000 + round_)),
        )
        assert len(one) + len(other) == 20


async def test_eight_processes_on_the_same_hundred_customers_do_not_deadlock(
    live_runtime: Runtime, committed: Database, accept: Any, whole: Any
) -> None:
    rivals = [Decider(live_runtime) for _ in range(8)]
    await rivals[0].decide(Arrival.of(EventsAccepted("shop", [accept(anonymousId=f"a{n}") for n in range(300)]), 1))

    def pull(rival: int, number: int) -> list[Arrival]:
        events = [
            accept(userId=f"u{n}", anonymousId=f"a{(n + 100 * (k + rival)) % 300}")
            for k in range(3)
            for n in (range(100) if (rival + number) % 2 else range(99, -1, -1))
        ]
        return Arrival.of(EventsAccepted("shop", events), 100 * rival + number + 2)

    async def work(index: int, rival: Decider) -> int:
        return sum([len(await rival.decide(pull(index, number))) for number in range(2)])

    assert sum(await asyncio.gather(*(work(*pair) for pair in enumerate(rivals)))) == 8 * 2 * 300
    async with committed.read() as session:
        await whole(session)
        customers = await session.execute(text("SELECT count(DISTINCT customer_id), count(*) FROM identity_map"))
        assert tuple(customers.one()) == (100, 400)
