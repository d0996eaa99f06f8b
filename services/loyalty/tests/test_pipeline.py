"""The way of an order through the real broker: points, tier and facts, once."""

import asyncio
from typing import Any

import msgspec
from sqlalchemy import MetaData, text

from perennial.common import derive, notify, outbox, streams
from perennial.common.contracts.identity import RESOLVED_SUBJECT, EventsResolved, IdentifiersAssigned
from perennial.common.contracts.loyalty import PointsEarned, TierChanged
from perennial.common.db import Database
from perennial.common.ids import partition_of, uuid7
from perennial.common.messaging.worker import consumers
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.loyalty.ledger.service import verify
from perennial.loyalty.main import SERVICE
from perennial.loyalty.worker import DERIVATION

ORDERS = 40
IDENTITY = Service("identity", "", MetaData(), emits=(IdentifiersAssigned,))


async def _settled(database: Database) -> bool:
    async with database.read() as session:
        told = await session.execute(
            text("SELECT count(*) FROM outbox WHERE subject = :subject AND published_at IS NOT NULL"),
            {"subject": TierChanged.subject},
        )
        earned = await session.execute(text("SELECT count(*) FROM posting"))
        return bool(told.scalar_one() == 1 and earned.scalar_one() == ORDERS)


async def test_orders_sent_again_and_again_earn_once_and_are_told(
    live_runtime: ServiceRuntime, committed: Database
) -> None:
    via = uuid7()
    await streams.apply(live_runtime.js, streams.plan([SERVICE, IDENTITY]))
    first = [tracked("Order Completed", {"order_id": str(n), "revenue": 20}, via=via) for n in range(ORDERS)]
    again = [tracked("Order Completed", {"order_id": str(n), "revenue": 20}, via=via) for n in range(ORDERS)]
    subject = f"{RESOLVED_SUBJECT}.{partition_of(via)}"
    for batch in (first, first[:30], again[10:], first[5:] + again[:9]):
        await live_runtime.js.publish(subject, msgspec.json.encode(EventsResolved(batch)))
    loops: list[Any] = [consumer.run() for consumer in consumers(live_runtime)]
    loops += [notify.listen(live_runtime), outbox.relay(live_runtime), derive.loop(live_runtime, DERIVATION)]
    tasks = [asyncio.create_task(loop) for loop in loops]
    async with asyncio.timeout(20):
        while not await _settled(committed):
            await asyncio.sleep(0.05)
    live_runtime.stopping.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 15)
    message = await live_runtime.js.get_last_msg("LOYALTY", TierChanged.subject)
    assert msgspec.json.decode(message.data or b"")["tier"] == "silver"
    assert (await live_runtime.js.get_last_msg("LOYALTY", PointsEarned.subject)).seq
    async with committed.read() as session:
        row = (await session.execute(text("SELECT balance, earned FROM account"))).one()
        assert tuple(row) == (20 * ORDERS, 20 * ORDERS)
        assert (await session.execute(text("SELECT count(*) FROM parked"))).scalar_one() == 0
    await verify(committed)
