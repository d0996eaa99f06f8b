"""What refunds take back when points are spent already, by the currency's policy."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import httpx
import pytest

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Posting

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def policy(shop: Any, name: str, **more: Any) -> None:
    await shop.programme(LONG_AGO, currencies=[{"code": "points", "refund_policy": name, **more}])


async def spend(shop: Any, via: Any, amount: int) -> None:
    await points.spend(shop.session, Posting(uuid7(), "spend", via, utc_now(), "coat", -amount))


@pytest.mark.parametrize(
    ("name", "more", "left"),
    [
        ("unlimited", {}, (-80, 100)),
        ("within_balance", {}, (0, 20)),
        ("only_pending", {"pending_days": 1}, (20, 0)),
    ],
)
async def test_a_refund_of_spent_points(shop: Any, name: str, more: Any, left: tuple[int, int]) -> None:
    via = uuid7()
    await policy(shop, name, **more)
    order = await shop.order(via, 100, at=utc_now() - timedelta(days=2))
    await spend(shop, via, 80)
    await shop.refund(order, via=via)
    account = await shop.account(via)
    assert (account.balance, account.reversed) == left
    await shop.refund(order, via=via)
    await shop.order(via, 50, at=utc_now() - timedelta(days=2))
    await shop.refund(order, "Order Cancelled", via=via)
    assert await shop.balance(via) == left[0] + 50, "what a refund left is left for good"


async def test_what_is_pending_is_always_taken(shop: Any) -> None:
    via = uuid7()
    await policy(shop, "only_pending", pending_days=7)
    order = await shop.order(via, 100)
    await shop.refund(order, via=via, properties={"revenue": 30})
    account = await shop.account(via)
    assert (account.pending, account.reversed) == (70, 30)
    await points.activate_due(shop.session, utc_now() + timedelta(days=8))
    await shop.refund(order, via=via)
    assert (await shop.account(via)).balance == 70


async def test_the_balance_is_that_of_the_person(shop: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await shop.assign(phone, phone, mail)
    await policy(shop, "within_balance")
    order = await shop.order(phone, 100, customer=phone)
    await shop.order(mail, 40, customer=phone)
    await spend(shop, phone, 90)
    await shop.refund(order, via=mail)
    assert await shop.balance(phone) == 0
    assert (await shop.account(phone)).reversed == 50


async def test_two_refunds_in_one_batch_share_the_balance(shop: Any) -> None:
    via = uuid7()
    await policy(shop, "within_balance")
    first, second = await shop.order(via, 100), await shop.order(via, 100)
    await spend(shop, via, 150)
    await shop.say(*[tracked("Order Refunded", {"order_id": order}, via=via) for order in (first, second)])
    account = await shop.account(via)
    assert (account.balance, account.reversed) == (0, 50)


@pytest.mark.parametrize("name", ["unlimited", "within_balance", "only_pending"])
async def test_whatever_comes_first_nothing_spent_is_nothing_left(shop: Any, name: str) -> None:
    await policy(shop, name, pending_days=7)
    for number, sequence in enumerate(permutations(range(3))):
        via, at, order = uuid7(), utc_now(), f"order {number}"
        events = [
            tracked("Order Completed", {"order_id": order, "revenue": 100}, via=via, at=at),
            tracked("Order Refunded", {"order_id": order, "revenue": 40}, via=via, at=at),
            tracked("Order Cancelled", {"order_id": order}, via=via, at=at),
        ]
        for index in sequence:
            await shop.say(events[index])
        account = await shop.account(via)
        assert (account.balance, account.pending, account.reversed) == (0, 0, 100), sequence


async def test_refunded_before_it_was_heard_of_and_active_at_once(shop: Any) -> None:
    via, at = uuid7(), utc_now() - timedelta(days=30)
    await policy(shop, "only_pending", pending_days=7)
    await shop.refund("early", via=via, at=at + timedelta(days=2))
    await shop.order(via, 100, "early", at=at)
    assert await shop.balance(via) == 0
    await shop.refund("late", via=via, at=at + timedelta(days=9))
    await shop.order(via, 100, "late", at=at)
    assert await shop.balance(via) == 100, "it was active when it was refunded"


async def test_a_policy_that_takes_nothing_is_refused(client: httpx.AsyncClient) -> None:
    body = {
        "earn_rules": [], "tiers": [{"name": "member", "threshold": 0}],
        "currencies": [{"code": "points", "refund_policy": "only_pending"}],
    }  # fmt: skip
    answer = await client.put("/v1/loyalty/programme", json=body, headers={"If-Match": '"1"'})
    assert (answer.status_code, "nothing is ever pending" in answer.text) == (422, True)
