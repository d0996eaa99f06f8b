"""Whatever dies in the middle: nothing acknowledged is lost, nothing counts twice."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import asyncpg
import pytest

from perennial.local.platform import Platform
from tests.e2e.shop import Shop, in_the_past, totals, until

BATCH = 200


def history(shop: Shop, users: int, each: int) -> list[dict[str, Any]]:
    """Orders of the past year, shuffled."""
    chance = random.Random(shop.mark)
    orders = [
        shop.order(
            shop.user(user), f"{chance.randint(100, 9999) / 100:.2f}", timestamp=in_the_past(chance.random() * 300)
        )
        for user in range(users)
        for _ in range(each)
    ]
    chance.shuffle(orders)
    return orders


def deliver_all(shop: Shop, events: Sequence[dict[str, Any]], *, meanwhile: Callable[[], None]) -> None:
    """Import everything in batches; `meanwhile` happens after a third of them."""
    batches = [events[start : start + BATCH] for start in range(0, len(events), BATCH)]
    fault = threading.Thread(target=meanwhile)
    for number, batch in enumerate(batches):
        if number == len(batches) // 3:
            fault.start()
        shop.deliver(batch, importing=True)
    fault.join()


def exact(shop: Shop, orders: Sequence[dict[str, Any]]) -> None:
    """Every customer is shown with exactly what was sent, in profile, in the bank and in RFM."""
    expected = totals(orders)

    def settled() -> bool:
        return sum(shop.orders_of(user)[0] for user in list(expected)[:3]) == sum(
            expected[user][0] for user in list(expected)[:3]
        )

    until(settled, 120, "the first customers complete")
    for user, (count, money, points) in expected.items():
        until(partial(_has_orders, shop, user, (count, money)), 60, f"orders of {user}: {count} {money}")
        until(partial(_has_points, shop, user, points), 60, f"points of {user}: {points}")
    time.sleep(1)
    for user, (count, money, points) in expected.items():
        assert shop.orders_of(user) == (count, money)
        assert shop.points_of(user) == points
        until(partial(_has_worth, shop, user, money), 60, f"rfm of {user}: {money}")


def _has_orders(shop: Shop, user: str, wanted: tuple[int, Decimal]) -> bool:
    return shop.orders_of(user) == wanted


def _has_points(shop: Shop, user: str, wanted: int) -> bool:
    return shop.points_of(user) == wanted


def _has_worth(shop: Shop, user: str, wanted: Decimal) -> bool:
    standing = shop.try_get(f"/v1/rfm/customers/{shop.known(user)}")
    return standing is not None and Decimal(standing["monetary"]) == wanted


@pytest.mark.parametrize("victim", ["identity", "profile", "loyalty"])
def test_a_service_killed_in_the_middle_of_an_import_loses_and_doubles_nothing(
    platform: Platform, shop: Shop, victim: str
) -> None:
    orders = history(shop, users=40, each=50)

    def kill() -> None:
        for _ in range(2):
            platform.kill(victim)
            platform.wait_process(victim)

    deliver_all(shop, orders, meanwhile=kill)
    exact(shop, orders)


def test_a_batch_that_comes_again_and_again_counts_once(shop: Shop) -> None:
    orders = history(shop, users=10, each=20)
    for _ in range(3):
        shop.deliver(orders, importing=True)
    chance = random.Random(1)
    for _ in range(4):  # a client that timed out packs its events anew
        chance.shuffle(orders)
        shop.deliver(orders[:150], importing=True)
    exact(shop, orders)


def test_postgres_restarted_in_the_middle_loses_nothing_and_parks_nothing(platform: Platform, shop: Shop) -> None:
    orders = history(shop, users=40, each=50)

    def restart() -> None:
        platform.kill("postgres")
        platform.wait_process("postgres")

    deliver_all(shop, orders, meanwhile=restart)
    exact(shop, orders)
    assert parked(platform) == 0


def parked(platform: Platform) -> int:
    """Events put aside, in all services."""
    import asyncio  # noqa: PLC0415

    async def count() -> int:
        connection = await asyncpg.connect(platform.database_url)
        try:
            total = 0
            for name in ("identity", "profile", "segments", "campaigns", "loyalty", "tickets", "integrations"):
                total += await connection.fetchval(f"SELECT count(*) FROM {name}.parked WHERE replayed_at IS NULL")
            return total
        finally:
            await connection.close()

    return asyncio.run(count())


def test_without_the_broker_the_gateway_says_so_and_then_everything_arrives(platform: Platform, shop: Shop) -> None:
    orders = history(shop, users=10, each=20)
    shop.deliver(orders[:100], importing=True)
    platform.stop_process("nats")
    try:
        refused = shop.send(orders[100:], importing=True)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["code"]
        time.sleep(10)
    finally:
        platform.start_process("nats")
    shop.deliver(orders[100:], importing=True)
    exact(shop, orders)


def test_a_service_that_is_away_holds_up_nobody_else(platform: Platform, shop: Shop) -> None:
    ida = shop.user("ida")
    platform.stop_process("loyalty")
    try:
        shop.deliver([shop.order(ida, "42")])
        until(lambda: shop.orders_of(ida) == (1, Decimal("42.00")), what="profile goes on")
        away = shop.http.get(f"/v1/loyalty/accounts/{shop.known(ida)}", headers=shop.headers)
        assert away.status_code in {502, 503}
        assert away.headers["content-type"] == "application/problem+json"
    finally:
        platform.start_process("loyalty")
    until(lambda: shop.points_of(ida) == 42, what="the points, late")


def test_a_cart_paid_during_an_outage_is_not_reminded_of(platform: Platform, shop: Shop) -> None:
    from tests.e2e.test_walk import _reminder  # noqa: PLC0415

    journey = _reminder(shop, wait="PT4S")
    kim, lea = shop.user("kim"), shop.user("lea")
    for user in (kim, lea):
        who = shop.event("identify", user, traits={"email": f"{user}@example.com"})
        shop.deliver([who, shop.event("track", user, event="Product Added", properties={"product_id": "1"})])
    until(lambda: shop.get(f"/v1/journeys/{journey}/funnel")["enrolled"] == 2, what="both enrolled")
    platform.stop_process("identity")
    try:
        shop.deliver([shop.order(kim, "10")])
        time.sleep(6)  # the wait is over, and nobody yet knows of the payment
        assert shop.items("/v1/messages", journey_id=journey, status="sent") == []
    finally:
        platform.start_process("identity")
    sent = until(lambda: shop.items("/v1/messages", journey_id=journey, status="sent"), what="the other reminder")
    time.sleep(2)
    sent = shop.items("/v1/messages", journey_id=journey, status="sent")
    assert [message["customer_id"] for message in sent] == [shop.known(lea)]
