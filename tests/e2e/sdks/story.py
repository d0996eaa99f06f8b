"""What every SDK is asked to say, and that the platform shows all of it as it was said."""

from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import quote

from tests.e2e.sdks.tap import Tap
from tests.e2e.shop import Shop, until

Call = dict[str, Any]

PROPERTIES = {
    "revenue": 125.45,
    "currency": "CNY",
    "coupon": "双十一",
    "products": [
        {"product_id": "507f1f77", "name": "羊毛外套 🧥", "price": 99.95, "quantity": 1, "category": "服装/外套"},
        {"sku": "G-32", "name": 'Mug "L"', "price": "12.75", "quantity": 2},
    ],
    "gift": {"to": {"name": "李“雷” & <b>\\ \n\t\u2028"}, "wrapped": True, "card": None, "tags": []},
    "numbers": [0, -1, 1e-7, 9007199254740991, 0.1],
}
TRAITS = {
    "firstName": "梅",
    "lastName": "韩",
    "birthday": "1996-02-29",
    "address": {"city": "上海", "postalCode": "200000"},
    "sizes": [36, 37.5],
    "vip": True,
}


def calls(shop: Shop) -> list[Call]:
    """A visit, then everything that a known customer does; the values are the shop's own."""
    user = shop.user("客")
    traits = {**TRAITS, "email": f"{shop.mark}@example.com"}
    order = {"order_id": f"{shop.mark}-1", **PROPERTIES}
    return [
        {"type": "track", "event": "Viewed Product", "properties": {"product_id": f"{shop.mark}-p", "price": 99.95}},
        {"type": "identify", "userId": user, "traits": traits},
        {"type": "track", "userId": user, "event": "Completed Order", "properties": order},
        {"type": "page", "userId": user, "category": "店铺", "name": "首页", "properties": {"ab": {"variant": 2}}},
        {"type": "screen", "userId": user, "category": "应用", "name": "积分", "properties": {"balance": 120}},
        {"type": "group", "userId": user, "groupId": f"{shop.mark}-公司", "traits": {"name": "红旗", "employees": 329}},
        {"type": "alias", "userId": user, "previousId": shop.user("before")},
    ]


def from_servers(said: list[Call], shop: Shop) -> list[Call]:
    """The same with the ids that an SDK in a browser would add by itself."""
    with_device = {"track", "identify", "page", "screen"}
    return [{**call, "anonymousId": shop.user("device")} if call["type"] in with_device else call for call in said]


def without_nulls(value: Any) -> Any:
    """What is left when an SDK drops keys whose value is null."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def purchase(shop: Shop) -> list[Call]:
    """The customer's name and one order."""
    return [call for call in calls(shop) if call["type"] == "identify" or call.get("event") == "Completed Order"]


IDS = {"anonymousId", "groupId", "previousId"}
KEPT = {"userId", *IDS, "properties", "traits", "integrations"}
NAMES = {"Viewed Product": "Product Viewed", "Completed Order": "Order Completed"}


def check(shop: Shop, tap: Tap, said: list[Call]) -> None:
    """Each call is an event with its own values, and the customer has each of them once."""
    sent = {(event["type"], event.get("event")): event for event in tap.events()}
    assert len(sent) == len(said)
    for call in said:
        event = sent[call["type"], call.get("event")]
        path = f"/v1/events/{quote(event['messageId'])}"
        read = until(partial(shop.try_get, path), what=f"{path}: {call}")
        _check_said(read, call)
        assert {name: read["body"].get(name) for name in KEPT} == {name: event.get(name) for name in KEPT}
    _check_list(shop, [event["messageId"] for event in sent.values()])
    if ("track", "Completed Order") in sent:
        until(lambda: shop.orders_of(shop.user("客")) == (1, Decimal("125.45")), 20, "one order")


def _check_said(read: dict[str, Any], call: Call) -> None:
    body = read["body"]
    name = call.get("event") or call.get("name")
    assert (read["type"], read["name"]) == (call["type"], NAMES.get(name, name) if name else None)
    assert body.get("event") == call.get("event")
    assert read["live"]
    assert (body.get("userId") or None) == call.get("userId")
    for field in IDS & call.keys():
        assert body[field] == call[field]
    traits = {**body["context"].get("traits", {}), **body.get("traits", {})}
    for shown, wanted in ((body.get("properties"), call.get("properties", {})), (traits, call.get("traits", {}))):
        assert {key: (shown or {}).get(key) for key in wanted} == wanted


def _check_list(shop: Shop, message_ids: list[str]) -> None:
    """The customer's events are these, each once: whatever came twice came before the last one."""
    user = shop.user("客")
    last = shop.event("track", user, event="Last")
    shop.deliver([last])
    until(lambda: shop.try_get(f"/v1/events/{last['messageId']}"), what="the last event")
    listed = [event["message_id"] for event in shop.items(f"/v1/customers/{shop.known(user)}/events")]
    assert sorted(listed) == sorted([*message_ids, last["messageId"]])
