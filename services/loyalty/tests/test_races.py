"""Two workers at the same order, a job at the same lots: nothing counts twice, nothing is lost."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import Database
from perennial.common.failures import is_infrastructure
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict
from perennial.common.testing.events import tracked
from perennial.loyalty.ledger.service import verify
from perennial.loyalty.points import service
from perennial.loyalty.points.posting import Posting

ORDERS = 20


async def _say(committing: Any, events: list[ResolvedEvent]) -> None:
    """As a consumer does: what a deadlock threw back comes again."""
    while True:
        try:
            async with committing() as shop:
                await shop.say(*events)
            return
        except Exception as error:
            if not is_infrastructure(error):
                raise


async def test_the_same_orders_in_two_partitions_count_once(committing: Any, committed: Database) -> None:
    vias = [uuid7(), uuid7()]
    bought, refunded = (
        [
            [tracked(name, {"order_id": str(n), "revenue": revenue}, via=via, customer=vias[0]) for n in range(ORDERS)]
            for via in vias
        ]
        for name, revenue in (("Order Completed", 100), ("Order Refunded", 25))
    )
    await asyncio.gather(*[_say(committing, batch) for batch in (*bought, *refunded)])
    async with committing() as shop:
        account = await shop.account(vias[0])
        assert (account.earned, account.reversed, account.balance) == (100 * ORDERS, 50 * ORDERS, 50 * ORDERS)
        await shop.derive()
    await verify(committed)


async def test_points_that_are_being_spent_do_not_expire(committing: Any, committed: Database) -> None:
    via, now = uuid7(), utc_now()
    at = now - timedelta(days=45)  # when nothing had expired
    async with committing() as shop:
        await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), expiry_months=1)
        for days in range(10):
            await shop.order(via, 10, at=now - timedelta(days=60 - days))

    async def spend() -> int:
        try:
            async with committed.write() as session:
                await service.spend(session, Posting(uuid7(), "spend", via, at, "race", -7))
        except Conflict:
            return 0
        return 7

    async def expire() -> int:
        async with committed.write() as session:
            return await service.expire_due(session, now)

    async def derive() -> int:
        async with committing() as shop:
            await shop.derive()
        return 0

    *spent, _, _, _ = await asyncio.gather(*[spend() for _ in range(12)], expire(), derive(), derive())
    while await expire():
        pass
    await derive()
    async with committing() as shop:
        account = await shop.account(via)
        assert (account.balance, account.spent, account.expired) == (0, sum(spent), 100 - sum(spent))
    await verify(committed)


async def test_points_that_have_expired_expire_once_however_many_spend(committing: Any, committed: Database) -> None:
    via, now = uuid7(), utc_now()
    async with committing() as shop:
        await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), expiry_months=1)
        await shop.order(via, 100, at=now - timedelta(days=60))
        await shop.order(via, 21, at=now - timedelta(days=1))

    async def spend() -> int:
        try:
            async with committed.write() as session:
                await service.spend(session, Posting(uuid7(), "spend", via, utc_now(), "race", -7))
        except Conflict:
            return 0
        return 7

    async def expire() -> int:
        async with committed.write() as session:
            await service.expire_due(session, now)
        return 0

    assert sum(await asyncio.gather(*[spend() for _ in range(6)], expire(), *[spend() for _ in range(6)])) == 21
    async with committing() as shop:
        account = await shop.account(via)
        assert (account.balance, account.spent, account.expired) == (0, 21, 100)
        await shop.derive()
    await verify(committed)


@pytest.mark.parametrize("points", [60, 100])
async def test_a_merge_in_between_cannot_overdraw(committing: Any, committed: Database, points: int) -> None:
    anna, phone = uuid7(), uuid7()
    async with committing() as shop:
        await shop.order(anna, 60)
        await shop.order(phone, 60)

    async def spend(via: Any) -> int:
        try:
            async with committed.write() as session:
                await service.spend(session, Posting(uuid7(), "spend", via, utc_now(), "race", -points))
        except Conflict:
            return 0
        return points

    async def merge() -> int:
        async with committing() as shop:
            await shop.assign(anna, phone)
        return 0

    spent = await asyncio.gather(spend(anna), merge(), spend(phone), spend(anna), spend(phone))
    async with committing() as shop:
        assert await shop.balance(anna) == 120 - sum(spent) >= 0
        await shop.derive()
        rows = await shop.session.execute(text("SELECT coalesce(sum(points), 0) FROM lot_use"))
        assert rows.scalar_one() == sum(spent)
    await verify(committed)
