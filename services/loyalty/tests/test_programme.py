"""The programme is data: versions, conditions, factors."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7
from perennial.loyalty.programme import service as programmes

PATH = "/v1/loyalty/programme"
TIERS = [{"name": "member", "threshold": 0}, {"name": "gold", "threshold": 100}]


async def _put(client: httpx.AsyncClient, tag: str = '"1"', **changes: Any) -> httpx.Response:
    body = {"earn_rules": [{"name": "orders"}], "tiers": TIERS, **changes}
    return await client.put(PATH, json=body, headers={"If-Match": tag})


async def test_the_first_version_is_built_in(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH)
    assert answer.headers["ETag"] == '"1"'
    body = answer.json()
    assert (body["version"], body["valid_from"]) == (1, None)
    assert [(item["code"], item["expiry"]["kind"]) for item in body["currencies"]] == [("points", "never")]
    assert body["earn_rules"][0]["points_per_unit"] == "1"
    assert [(tier["name"], tier["threshold"]) for tier in body["tiers"]] == [
        ("member", 0),
        ("silver", 500),
        ("gold", 1500),
        ("platinum", 4000),
    ]


async def test_replacing_needs_the_version_last_seen(client: httpx.AsyncClient) -> None:
    body = {"earn_rules": [], "tiers": TIERS}
    assert (await client.put(PATH, json=body)).status_code == 428
    made = await _put(client, currencies=[{"code": "points", "expiry": {"kind": "months", "months": 12}}])
    assert (made.status_code, made.headers["ETag"], made.json()["version"]) == (200, '"2"', 2)
    late = await _put(client)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert (await client.get(PATH)).json() == made.json()
    assert (await client.get(f"{PATH}?version=1")).json()["version"] == 1
    assert (await client.get(f"{PATH}?version=3")).status_code == 404


async def test_what_was_read_can_be_changed_and_sent_back(client: httpx.AsyncClient) -> None:
    read = (await client.get(PATH)).json()
    answer = await client.put(PATH, json={**read, "tier_window_days": 7}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["tier_window_days"]) == (200, 7)
    assert answer.json() == {**read, "tier_window_days": 7, "version": 2, "valid_from": answer.json()["valid_from"]}


async def test_an_order_earns_by_the_version_of_its_time(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    rules = [{"name": "orders", "points_per_unit": 2.5}]
    assert (await _put(client, earn_rules=rules)).status_code == 200
    await shop.order(via, 11)
    await shop.order(via, 11, at=utc_now() - timedelta(days=1))
    assert await shop.balance(via) == 27 + 11


async def test_rules_with_conditions_add_up(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    rules = [
        {"name": "orders"},
        {"name": "app", "points_per_unit": "0.5", "condition": {"trait": "channel", "is": "app"}},
        {"name": "tea", "condition": {"trait": "products[].category", "is": "Tea"}},
    ]
    assert (await _put(client, earn_rules=rules)).status_code == 200
    await shop.order(via, 9, properties={"channel": "app"})
    assert await shop.balance(via) == 9 + 4
    await shop.order(via, 10, properties={"channel": "web", "products": [{"category": "Tea", "price": 10}]})
    assert await shop.balance(via) == 13 + 20


async def test_the_tier_multiplies(shop: Any) -> None:
    via = uuid7()
    await shop.programme(
        datetime(2020, 1, 1, tzinfo=UTC),
        earn_rules=[{"name": "orders", "multipliers": {"gold": "1.5"}}],
        tiers=TIERS,
    )
    await shop.order(via, 100)
    await shop.derive()
    await shop.order(via, 11)
    assert await shop.balance(via) == 100 + 16


async def test_new_thresholds_move_everybody_and_are_audited(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 200)
    await shop.derive()
    assert (await shop.account(via)).tier.name == "member"
    assert (await _put(client)).status_code == 200
    await shop.derive()
    assert (await shop.account(via)).tier.name == "gold"
    trail = await shop.session.execute(text("SELECT action, detail FROM audit"))
    assert [(row.action, row.detail) for row in trail] == [("programme.replaced", {"version": 2})]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"earn_rules": [{"name": "x", "points_per_unit": -1}]}, "/earn_rules/0/points_per_unit"),
        ({"earn_rules": [{"name": "x", "points_per_unit": "many"}]}, "/earn_rules/0/points_per_unit"),
        ({"earn_rules": [{"name": "x", "event": "order refunded"}]}, "/earn_rules/0/event"),
        ({"earn_rules": [{"name": "x", "condition": {"trait": "a"}}]}, "/earn_rules/0/condition"),
        ({"earn_rules": [{"name": "x", "condition": {"event": "Order Completed"}}]}, "/earn_rules/0/condition"),
        ({"earn_rules": [{"name": " "}]}, "/earn_rules/0/name"),
        ({"tiers": []}, "/tiers"),
        ({"tiers": [{"name": "a", "threshold": "0"}]}, "/tiers/0/threshold"),
        ({"currencies": [{"expiry": {"kind": "months"}}]}, "/currencies/0/expiry"),
        ({"currencies": [{"expiry": {"kind": "date", "day": "02-30"}}]}, "/currencies/0/expiry"),
        ({"currencies": [{"expiry": {"kind": "date", "day": "2-3"}}]}, "/currencies/0/expiry/day"),
        ({"currencies": [{"code": "Points"}]}, "/currencies/0/code"),
        ({"currencies": []}, "/currencies"),
        ({"tier_window_days": True}, "/tier_window_days"),
        ({"currencies": [{"refund_policy": "never"}]}, "/currencies/0/refund_policy"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_bad_programmes_name_the_field(client: httpx.AsyncClient, changes: Any, field: str) -> None:
    answer = await _put(client, **changes)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tiers": [{"name": "a", "threshold": 5}]}, "tiers: thresholds must ascend from 0"),
        ({"tiers": [{"name": "a", "threshold": 0}, {"name": "a", "threshold": 9}]}, "tiers: names must be unique"),
        ({"earn_rules": [{"name": "a"}, {"name": "a"}]}, "earn_rules: names must be unique"),
        ({"earn_rules": [{"name": "a", "multipliers": {"diamond": 2}}]}, "unknown tiers: diamond"),
    ],
)
async def test_programmes_that_contradict_themselves_say_where(
    client: httpx.AsyncClient, changes: Any, said: str
) -> None:
    answer = await _put(client, **changes)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


async def test_who_has_no_tier_yet_has_the_lowest(shop: Any) -> None:
    rules = [
        {"name": "orders", "multipliers": {"member": 3}},
        {"name": "new", "per": "event", "condition": {"trait": "$tier", "is": "member"}},
    ]
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), earn_rules=rules)
    via = uuid7()
    await shop.order(via, 10)
    assert await shop.balance(via) == 31
    await shop.derive()
    await shop.order(via, 10)
    assert await shop.balance(via) == 62


async def test_many_versions_are_read_once(shop: Any) -> None:
    """A cache that is too small for all of them, asked for each in turn, keeps none."""
    for days in range(70):
        await shop.programme(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=days))
    assert len(await programmes.history(shop.session)) == 71
    before = programmes._earner.cache_info().misses
    await programmes.history(shop.session)
    assert programmes._earner.cache_info().misses == before
