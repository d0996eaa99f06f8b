"""Points wait for the delivery, for some days, or until somebody lets them go."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import httpx
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.loyalty.points import service as points

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PATH = "/v1/loyalty/releases"


async def wait(shop: Any, **more: Any) -> None:
    await shop.programme(LONG_AGO, currencies=[{"code": "points", "pending_until": "delivered", **more}])


async def have(shop: Any, via: Any, at: datetime | None = None) -> tuple[int, int]:
    await points.activate_due(shop.session, at or utc_now())
    account = await shop.account(via)
    return account.balance, account.pending


async def test_points_wait_for_the_delivery_and_some_days(shop: Any) -> None:
    via, at = uuid7(), utc_now() - timedelta(days=30)
    await wait(shop, pending_days=7)
    order = await shop.order(via, 100, at=at)
    assert await have(shop, via) == (0, 100)
    await shop.refund(order, "Order Delivered", via=via, at=utc_now() - timedelta(days=3))
    assert await have(shop, via) == (0, 100)
    assert await have(shop, via, utc_now() + timedelta(days=5)) == (100, 0)


async def test_the_sequence_of_order_delivery_and_refund_does_not_matter(shop: Any) -> None:
    await wait(shop)
    for number, sequence in enumerate(permutations(range(4))):
        via, at, order = uuid7(), utc_now() - timedelta(days=30), f"order {number}"
        events = [
            tracked("Order Completed", {"order_id": order, "revenue": 100}, via=via, at=at),
            tracked("Order Delivered", {"order_id": order}, via=uuid7(), at=at + timedelta(days=2)),
            tracked("Order Refunded", {"order_id": order, "revenue": 40}, via=via, at=at + timedelta(days=3)),
            tracked("Order Delivered", {"order_id": order}, via=via, at=at + timedelta(days=4)),
        ]
        for index in sequence:
            await shop.say(events[index])
        assert await have(shop, via) == (60, 0), sequence
        moments = "SELECT DISTINCT active_at FROM lot WHERE via = :via AND points > reversed"
        active = (await shop.session.execute(text(moments), {"via": via})).scalars().all()
        assert active == [at + timedelta(days=2)] or active == [at + timedelta(days=4)], sequence


async def test_nobody_waits_for_ever_where_the_programme_says_so(shop: Any) -> None:
    via = uuid7()
    await wait(shop, pending_at_most_days=20)
    await shop.order(via, 100, at=utc_now() - timedelta(days=19))
    assert await have(shop, via) == (0, 100)
    assert await have(shop, via, utc_now() + timedelta(days=2)) == (100, 0)


async def test_a_release_lets_go_now_and_later(shop: Any, client: httpx.AsyncClient) -> None:
    via, at = uuid7(), utc_now() - timedelta(days=2)
    await wait(shop)
    order = await shop.order(via, 100, "茶/1 %", at=at)
    body = {"source": "shop", "order_id": order}
    done = await client.post(PATH, json=body, headers={"Idempotency-Key": "1"})
    assert (done.status_code, done.json()["points"]) == (201, {"points": 100})
    assert done.json()["customer_id"] == str(via)
    again = await client.post(PATH, json=body, headers={"Idempotency-Key": "1"})
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (done.json(), "true")
    twice = await client.post(PATH, json=body, headers={"Idempotency-Key": "2"})
    assert twice.json()["points"] == {}
    await shop.say(tracked("Order Updated", {"order_id": order, "revenue": 150}, via=via))
    account = await shop.account(via)
    assert (account.balance, account.pending) == (150, 0)
    actions = await shop.session.execute(text("SELECT action FROM audit"))
    assert list(actions.scalars()) == ["loyalty.released", "loyalty.released"]


async def test_an_order_that_nobody_told_of_is_not_released(shop: Any, client: httpx.AsyncClient) -> None:
    await shop.refund("only refunded", via=uuid7())
    for order in ("only refunded", "unknown"):
        body = {"source": "shop", "order_id": order}
        answer = await client.post(PATH, json=body, headers={"Idempotency-Key": order})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (404, "/order_id")
