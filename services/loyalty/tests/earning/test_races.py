"""Many at once: caps hold, nobody waits for ever, the books balance."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.loyalty.orders import service as orders
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.points import service as points

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
VIAS = 4
STAFF = Principal("staff", "tester", frozenset({"*"}))


async def test_one_person_in_many_partitions_has_one_cap(committing: Any) -> None:
    vias = sorted(uuid7() for _ in range(VIAS))
    rules = [
        {"name": "orders", "caps": [{"points": 100, "per": "day"}]},
        {"name": "first", "first_order": True, "per": "event", "points_per_unit": 1000},
        {"name": "survey", "event": "Survey", "per": "event", "points_per_unit": 7, "caps": [{"times": 2}]},
    ]
    async with committing() as shop:
        await shop.assign(vias[0], *vias)
        await shop.programme(LONG_AGO, earn_rules=rules)

    async def partition(via: UUID, number: int) -> None:
        async with committing() as shop:
            await shop.say(
                tracked("Order Completed", {"order_id": f"{number}", "revenue": 40}, via=via, customer=vias[0], at=AT),
                tracked("Order Refunded", {"order_id": f"{(number + 1) % 12}", "revenue": 1}, via=via,
                        customer=vias[0], at=AT),
                tracked("Survey", {}, via=via, customer=vias[0], at=AT),
            )  # fmt: skip

    await asyncio.gather(*[partition(vias[number % VIAS], number) for number in range(12)])
    async with committing() as shop:
        earned = "SELECT coalesce(sum(earned), 0) FROM account WHERE via = ANY(:vias)"
        assert await shop.session.scalar(text(earned), {"vias": vias}) == 100 + 1000 + 14
        await shop.prove()


async def test_content_approved_and_removed_at_once(committing: Any) -> None:
    via = uuid7()
    content = [{"kind": "post", "event": "Posted", "approved_by": "Approved", "removed_by": "Removed"}]
    rules = [{"name": "post", "event": "Posted", "per": "event", "points_per_unit": 9}]
    async with committing() as shop:
        await shop.assign(via, via)
        await shop.programme(LONG_AGO, earn_rules=rules, content=content)

    async def say(name: str, hour: int) -> None:
        async with committing() as shop:
            await shop.say(tracked(name, {"id": "1"}, via=via, at=AT.replace(hour=hour)))

    names = (("Posted", 1), ("Approved", 2), ("Removed", 3), ("Approved", 4))
    await asyncio.gather(*[say(name, hour) for name, hour in names * 2])
    async with committing() as shop:
        assert await shop.balance(via) == 9
        await shop.prove()


async def test_a_release_waits_for_the_job_that_lets_points_go(committing: Any) -> None:
    via = uuid7()
    async with committing() as shop:
        await shop.programme(LONG_AGO, currencies=[{"code": "points", "pending_until": "delivered"}])
        order = await shop.order(via, 40, at=AT)
    lot = "SELECT id FROM lot WHERE via = :via"

    async def release() -> int:
        async with committing() as shop:
            return (await orders.release(shop.session, STAFF, "shop", order)).points.get("points", 0)

    async with committing() as job:
        key = await job.session.scalar(text(lot), {"via": via})
        await ledger.lock_accounts(job.session, [via])
        waiting = asyncio.create_task(release())
        await asyncio.sleep(0.5)  # were it shorter, nothing would be proved, and nothing would fail
        let_go = await points.activate_lots(job.session, await ledger.lots(job.session, [key]))
    assert sum(item.points for item in let_go) + await waiting == 40
    async with committing() as shop:
        assert await shop.balance(via) == 40
        await shop.prove()
