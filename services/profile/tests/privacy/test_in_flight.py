"""A batch that is being handled when somebody is erased is waited for; one that begins later leaves them out."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import RESOLVED_SUBJECT, CustomerErased
from perennial.common.db import Database
from perennial.common.db.locks import lock_all, lock_key
from perennial.common.ids import partition_of, uuid7
from perennial.common.privacy import service, worker
from perennial.common.service import ServiceRuntime
from perennial.profile.main import SERVICE

FACT = text("INSERT INTO counter (via, name, count, first, last) VALUES (:via, 'Viewed', 1, now(), now())")


@pytest.fixture
def process(settings: Any, committed: Database) -> ServiceRuntime:
    return ServiceRuntime(SERVICE, settings, committed, nats=None)  # type: ignore[arg-type]


async def test_a_batch_in_hand_is_waited_for_and_what_it_wrote_is_erased(process: ServiceRuntime) -> None:
    via = uuid7()
    told = CustomerErased(erasure_id=uuid7(), customer=via, vias=[via], at=datetime.now(UTC))
    handled = asyncio.Event()

    async def batch() -> None:
        async with process.database.write() as session:
            await lock_all(session, [lock_key("profile", f"{RESOLVED_SUBJECT}.{partition_of(via)}")])
            assert not await _gone(session, via)
            handled.set()
            await asyncio.sleep(0.3)  # it looked before anybody was erased, and writes afterwards
            await session.execute(FACT, {"via": via})

    async def erasing() -> float:
        await handled.wait()
        started = asyncio.get_running_loop().time()
        async with process.database.write() as session:
            await session.execute(text("SELECT 1"))
            await service.accept(session, [told])
        return asyncio.get_running_loop().time() - started

    _, waited = await asyncio.gather(batch(), erasing())
    assert waited > 0.2, "the fence of the partition is what makes it wait"
    await worker.run_all(process)
    async with process.database.read() as session:
        assert await _gone(session, via)
        assert (await session.execute(text("SELECT count(*) FROM counter"))).scalar_one() == 0


async def _gone(session: Any, via: Any) -> bool:
    found = await session.execute(text("SELECT count(*) FROM erased WHERE via = :via"), {"via": via})
    return bool(found.scalar_one())


async def test_two_workers_erase_once_and_a_repeat_of_the_word_is_none(process: ServiceRuntime) -> None:
    via = uuid7()
    told = CustomerErased(erasure_id=uuid7(), customer=via, vias=[via], at=datetime.now(UTC))
    async with process.database.write() as session:
        for _ in range(40):
            await session.execute(text("INSERT INTO stale (customer_id, live) VALUES (:via, true)"), {"via": via})
    for _ in range(2):
        async with process.database.write() as session:
            await service.accept(session, [told])
    await asyncio.gather(worker.run_all(process), worker.run_all(process))
    await worker.run_all(process)
    async with process.database.read() as session:
        counts = (await session.execute(text("SELECT counts FROM erasure"))).scalars().all()
        said = await session.execute(text("SELECT count(*) FROM outbox WHERE subject LIKE 'profile.erasure.%'"))
        assert [row["stale"] for row in counts] == [40]
        assert said.scalar_one() == 1
