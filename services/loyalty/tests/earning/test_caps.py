"""Caps hold by person, day and subject, whatever comes first; a refund makes no room."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
DAY = datetime(2025, 5, 14, 12, tzinfo=UTC)  # a Wednesday


async def capped(shop: Any, *caps: dict[str, Any], **more: Any) -> None:
    await shop.programme(LONG_AGO, earn_rules=[{"name": "x", "caps": list(caps), **more}])


@pytest.mark.parametrize(
    ("per", "later", "points"),
    [
        ("event", timedelta(), 200),
        ("day", timedelta(hours=1), 100),
        ("day", timedelta(days=1), 180),
        ("week", timedelta(days=4), 100),
        ("week", timedelta(days=5), 180),
        ("month", timedelta(days=17), 100),
        ("month", timedelta(days=18), 180),
        ("year", timedelta(days=200), 100),
        ("year", timedelta(days=250), 180),
        ("ever", timedelta(days=190), 100),
    ],
)
async def test_a_cap_by_its_window(shop: Any, per: str, later: timedelta, points: int) -> None:
    via = uuid7()
    await capped(shop, {"points": 100, "per": per})
    for revenue, at in ((80 if per != "event" else 120, DAY), (150 if per == "event" else 100, DAY + later)):
        await shop.order(via, revenue, at=at)
    assert await shop.balance(via) == points


async def test_days_are_those_of_the_programme(shop: Any, settings: Any) -> None:
    shop.session.info["settings"] = settings.model_copy(update={"timezone": "Asia/Shanghai"})
    via = uuid7()
    await capped(shop, {"times": 1, "per": "day"})
    await shop.order(via, 10, at=datetime(2025, 5, 13, 15, 59, tzinfo=UTC))
    await shop.order(via, 10, at=datetime(2025, 5, 13, 16, 1, tzinfo=UTC))
    await shop.order(via, 10, at=datetime(2025, 5, 14, 15, 59, tzinfo=UTC))
    assert await shop.balance(via) == 20


async def test_a_person_has_one_cap_whatever_the_identifier(shop: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await shop.assign(phone, phone, mail)
    await capped(shop, {"points": 100})
    await shop.say(
        tracked("Order Completed", {"order_id": "1", "revenue": 80}, via=phone, customer=phone, at=DAY),
        tracked("Order Completed", {"order_id": "2", "revenue": 80}, via=mail, customer=phone, at=DAY),
    )
    assert await shop.balance(phone) == 100


async def test_what_was_earned_before_a_merge_stays_and_counts_after_it(shop: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await capped(shop, {"points": 100})
    await shop.order(phone, 80, at=DAY)
    await shop.order(mail, 70, at=DAY)
    await shop.assign(phone, phone, mail)
    await shop.order(mail, 50, at=DAY, customer=phone)
    assert await shop.balance(phone) == 150
    await shop.assign(mail, mail)
    assert (await shop.balance(phone), await shop.balance(mail)) == (80, 70)


async def test_an_order_restated_counts_by_what_it_is_now(shop: Any) -> None:
    via = uuid7()
    await capped(shop, {"points": 100})
    order = await shop.order(via, 90, at=DAY)
    await shop.say(tracked("Order Updated", {"order_id": order, "revenue": 40}, via=via, at=DAY + timedelta(hours=1)))
    await shop.order(via, 50, at=DAY)
    assert await shop.balance(via) == 90
    await shop.order(via, 90, order, at=DAY)  # said again: nothing new
    await shop.order(via, 50, at=DAY)
    assert await shop.balance(via) == 100


async def test_a_refund_takes_what_was_given_and_makes_no_room(shop: Any) -> None:
    via = uuid7()
    await capped(shop, {"points": 100})
    order = await shop.order(via, 400, at=DAY)
    await shop.refund(order, via=via, properties={"revenue": 100})
    assert await shop.balance(via) == 75
    await shop.order(via, 400, at=DAY)
    assert await shop.balance(via) == 75


async def test_a_first_order_is_one_whatever_comes_first(shop: Any) -> None:
    via = uuid7()
    await shop.programme(
        LONG_AGO, earn_rules=[{"name": "x"}, {"name": "welcome", "first_order": True, "per": "event",
                                              "points_per_unit": 500}],
    )  # fmt: skip
    await shop.say(
        tracked("Order Completed", {"order_id": "2", "revenue": 10}, via=via, at=DAY + timedelta(days=1)),
        tracked("Order Completed", {"order_id": "1", "revenue": 20}, via=via, at=DAY),
    )
    lots = await shop.balance(via)
    assert lots == 530
    await shop.order(via, 30, "0", at=DAY - timedelta(days=9), live=False)
    assert await shop.balance(via) == 560, "an older order that comes late finds it given"
    await shop.refund("2", via=via)
    assert await shop.balance(via) == 550
    await shop.refund("1", via=via)
    assert await shop.balance(via) == 30, "the bonus came with the first order and goes with it"


async def test_an_update_before_its_order_does_not_hide_that_it_is_the_first(shop: Any) -> None:
    via = uuid7()
    await shop.programme(LONG_AGO, earn_rules=[{"name": "w", "first_order": True, "per": "event"}])
    await shop.say(tracked("Order Updated", {"order_id": "1", "revenue": 5}, via=via, at=DAY + timedelta(days=2)))
    await shop.say(
        tracked("Order Completed", {"order_id": "2", "revenue": 5}, via=via, at=DAY + timedelta(days=1)),
        tracked("Order Completed", {"order_id": "1", "revenue": 5}, via=via, at=DAY),
    )
    await shop.refund("2", via=via)
    assert await shop.balance(via) == 1


async def test_once_for_each_subject(shop: Any) -> None:
    via = uuid7()
    rule = {"name": "r", "event": "Product Reviewed", "per": "event", "points_per_unit": 10, "subject": "product_id"}
    cap = [{"times": 1, "per": "ever", "each": True}, {"times": 3, "per": "day"}]
    await shop.programme(LONG_AGO, earn_rules=[{**rule, "caps": cap}])
    for product in ("茶/1", "茶/1", "b", "c", "d"):
        await shop.say(tracked("Product Reviewed", {"product_id": product}, via=via, at=DAY))
    assert await shop.balance(via) == 30
    await shop.say(tracked("Product Reviewed", {"product_id": "d"}, via=via, at=DAY + timedelta(days=1)))
    assert await shop.balance(via) == 40


async def test_a_currency_has_a_cap_over_all_rules(shop: Any) -> None:
    via = uuid7()
    rules = [{"name": "a"}, {"name": "b"}, {"name": "g", "currency": "growth"}]
    currencies = [{"code": "points"}, {"code": "growth", "kind": "growth"}]
    caps = [{"points": 100, "per": "day"}]
    await shop.programme(LONG_AGO, earn_rules=rules, currencies=currencies, earn_caps=caps)
    await shop.order(via, 70, at=DAY)
    await shop.order(via, 70, at=DAY)
    account = await shop.account(via)
    assert {wallet.currency: wallet.balance for wallet in account.wallets} == {"points": 100, "growth": 140}


async def test_a_rule_of_a_group_that_is_used_up_makes_room_for_the_next(shop: Any) -> None:
    via = uuid7()
    rules = [
        {"name": "ten", "points_per_unit": 10, "group": "g", "caps": [{"times": 1, "per": "day"}]},
        {"name": "one", "group": "g"},
    ]
    await shop.programme(LONG_AGO, earn_rules=rules)
    await shop.order(via, 5, at=DAY)
    await shop.order(via, 5, at=DAY)
    assert await shop.balance(via) == 55
