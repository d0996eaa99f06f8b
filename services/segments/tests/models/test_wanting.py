"""When runs are wanted: first orders, moves, days, people; and when they have to wait."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.testing.plugin import BoundDatabase
from perennial.common.timers import Timer
from perennial.segments.rfm.runs import building, computing, service

Hear = Callable[..., Awaitable[None]]
Run = Callable[[], Awaitable[None]]
Bought = Callable[..., Any]
Shop = Callable[..., Awaitable[list[UUID]]]
KEY = {"Idempotency-Key": "once"}


async def test_the_first_orders_want_a_run_and_many_moves_want_another(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run, shop: Shop
) -> None:
    async def wanted() -> int:
        async with database.write() as session:
            gone = await session.execute(text("DELETE FROM timer WHERE kind = 'rfm' AND key <> 'day' RETURNING 1"))
            return len(gone.all())

    customers = await shop(50)
    assert await wanted()
    await run()
    assert await wanted() == 0
    asked = datetime.now(UTC)
    await hear(bought(customers[0]))
    async with database.read() as session:
        due = (await session.execute(text("SELECT due_at FROM timer WHERE key = 'settle'"))).scalar_one()
    assert due > asked + timedelta(seconds=60 - 1)
    await hear(*map(bought, customers[:3]))
    assert await wanted() == 2
    await run()
    await hear(bought(customers[0], currency="CNY"))
    assert await wanted()


async def due(database: BoundDatabase) -> timedelta:
    """How long after the last run the timer is due."""
    async with database.read() as session:
        found = text("SELECT due_at - (SELECT max(served_at) FROM rfm_scoring) FROM timer WHERE key = 'soon'")
        away: timedelta = (await session.execute(found)).scalar_one()
    return away


async def cause(database: BoundDatabase) -> str:
    """What the timer says."""
    async with database.read() as session:
        found = await session.execute(text("SELECT payload ->> 'cause' FROM timer WHERE key = 'soon'"))
        said: str = found.scalar_one()
    return said


async def forget(database: BoundDatabase) -> None:
    """The timer has fired; the run is of just now, however slow the machine."""
    async with database.write() as session:
        await session.execute(text("DELETE FROM timer WHERE key = 'soon'"))
        await session.execute(text("UPDATE rfm_scoring SET served_at = now() + interval '1 hour'"))


async def test_runs_that_orders_want_take_a_small_share_of_the_time(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run, shop: Shop
) -> None:
    customers = await shop(50)
    await run()
    await forget(database)
    await hear(*map(bought, customers))
    assert await due(database) == timedelta(minutes=1)
    await forget(database)
    async with database.write() as session:
        await session.execute(text("UPDATE rfm_scoring SET seconds = 30"))
    await hear(*map(bought, customers))
    assert await due(database) == timedelta(seconds=30 * 50)
    await hear(*map(bought, customers))
    assert await due(database) == timedelta(seconds=30 * 50)


async def test_whom_a_run_changes_are_of_its_share_as_well(
    database: BoundDatabase, run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are derived behind it: in a shop where all is different after each run, that is the greater part."""
    monkeypatch.setattr(computing, "DERIVED_SECONDS", 1.0)
    await shop(50)
    await run()
    async with database.read() as session:
        found = await session.execute(text("SELECT seconds FROM rfm_scoring WHERE state = 'serving'"))
    assert 50 <= found.scalar_one() < 60 + 50


async def test_a_currency_that_somebody_makes_up_waits_as_well(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run
) -> None:
    await hear(bought())
    await run()
    await forget(database)
    await hear(bought(currency="CNY"))
    assert (await due(database), await cause(database)) == (timedelta(minutes=1), "new")


async def test_twice_as_many_customers_wait_for_no_turn(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run, shop: Shop
) -> None:
    """An import begins with a few: they must not set the thresholds of all the others for a minute."""
    customers = await shop(10)
    await run()
    await forget(database)
    await hear(*(bought() for _ in range(9)), *map(bought, customers))
    assert await cause(database) == "change"
    await hear(bought())
    assert await cause(database) == "growth"
    assert await due(database) < timedelta(0)
    async with database.write() as session:
        await session.execute(text("UPDATE rfm_scoring SET state = 'failed' WHERE state = 'serving'"))
        await service.wake(session, [Timer(service.SCORE, service.SOON, datetime.now(UTC), {"cause": "growth"})])
    assert not await computing.compute_next(database), "one that fails is not begun again at once"
    async with database.write() as session:
        await session.execute(text("UPDATE rfm_scoring SET state = 'serving'"))
        await service.wake(session, [Timer(service.SCORE, service.SOON, datetime.now(UTC), {"cause": "growth"})])
    assert await computing.compute_next(database)


async def test_a_timer_that_another_run_has_overtaken_waits_after_it(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run, shop: Shop
) -> None:
    customers = await shop(50)
    await run()
    await hear(*map(bought, customers))
    await run()
    await hear(bought(customers[0]))
    await forget(database)
    async with database.write() as session:
        await service.wake(session, [Timer(service.SCORE, service.SOON, datetime.now(UTC), {"cause": "change"})])
    assert not await computing.compute_next(database)
    assert await due(database) == timedelta(minutes=1)


async def test_a_run_that_waits_knows_the_weightiest_cause(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    found = []
    for why in ("change", "day", "settings", "new"):
        async with database.write() as session:
            await service.want(session, why)
        found += [item["cause"] for item in (await client.get("/v1/rfm/runs")).json()["items"]]
    assert found == ["change", "day", "day", "day"]


async def test_a_timer_only_says_that_a_run_is_wanted(database: BoundDatabase) -> None:
    async with database.write() as session:
        timers = [Timer(service.SCORE, "day", datetime.now(UTC), {"cause": "day"})]
        await service.wake(session, timers)
        await service.wake(session, timers)
        found = (await session.execute(text("SELECT state, cause FROM rfm_scoring"))).all()
        assert [tuple(row) for row in found] == [("wanted", "day")]


async def test_a_change_that_a_run_has_seen_to_wants_no_other(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run, shop: Shop
) -> None:
    async def woken() -> bool:
        async with database.write() as session:
            await service.wake(session, [Timer(service.SCORE, service.SETTLE, datetime.now(UTC), {"cause": "change"})])
        return await computing.compute_next(database)

    customers = await shop(50)
    await run()
    await hear(bought(customers[0]))
    await run()
    async with database.read() as session:
        assert not (await session.execute(text("SELECT true FROM timer WHERE key = 'settle'"))).first()
    assert not await woken()
    await hear(bought(customers[0]))
    assert not await woken()
    async with database.write() as session:
        await session.execute(text("UPDATE rfm_scoring SET served_at = served_at - interval '1 minute'"))
    assert await woken()


async def test_a_day_without_a_run_wants_one(database: BoundDatabase) -> None:
    async with database.write() as session:
        await service.want_first(session)
    assert await computing.compute_next(database)
    async with database.write() as session:
        await service.want_first(session)
    assert not await computing.compute_next(database)


async def test_a_run_is_asked_for_once_by_key(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    asked = await client.post("/v1/rfm/runs", headers=KEY)
    assert (asked.status_code, asked.json()["state"], asked.json()["cause"]) == (201, "wanted", "asked")
    assert asked.headers["Location"] == f"/v1/rfm/runs/{asked.json()['id']}"
    assert (await client.post("/v1/rfm/runs", headers=KEY)).json() == asked.json()
    assert await computing.compute_next(database)
    assert not await computing.compute_next(database)
    assert (await client.get(asked.headers["Location"])).json()["state"] == "serving"


async def test_a_run_that_fails_at_its_end_is_not_begun_again_by_the_next_order(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run, monkeypatch: pytest.MonkeyPatch, shop: Shop
) -> None:
    customers = await shop(50)
    await run()
    with monkeypatch.context() as broken:
        broken.setattr(building, "switch", None)
        await run()
    async with database.write() as session:
        await session.execute(text("DELETE FROM timer WHERE kind = 'rfm'"))
    await hear(bought(customers[0]))
    async with database.read() as session:
        keys = (await session.execute(text("SELECT key FROM timer WHERE kind = 'rfm' ORDER BY key"))).scalars().all()
    assert keys == ["settle"]
