"""Benefits are data: granted and revoked as tiers and programmes change, and shown in every answer."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from perennial.common.contracts.loyalty import BenefitGranted, BenefitRevoked, BenefitsChanged, TiersChanged
from perennial.common.ids import uuid7

PATH = "/v1/loyalty/programme"
SHIPPING = {"code": "post", "kind": "free_shipping", "label": {"zh": "包邮"}, "amount": "49.90"}
DISCOUNT = {"code": "off", "kind": "discount", "percent": "5"}
GREEN = {"code": "green", "kind": "service_level", "name": "green"}
TIERS: list[dict[str, Any]] = [
    {"name": "member", "threshold": 0},
    {"name": "silver", "threshold": 500, "benefits": [SHIPPING, DISCOUNT]},
    {"name": "gold", "threshold": 1500, "orders": 3, "benefits": [SHIPPING, {**DISCOUNT, "percent": "10"}, GREEN]},
]


async def told(shop: Any, contract: type[Any]) -> list[tuple[str, str | None]]:
    return [(item["benefit"]["code"], item["benefit"].get("percent")) for item in await shop.said(contract)]


async def test_granted_on_the_way_up_and_revoked_with_the_tier(shop: Any, client: httpx.AsyncClient) -> None:
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), tiers=TIERS)
    via = uuid7()
    await shop.order(via, 600)
    await shop.derive()
    assert await told(shop, BenefitGranted) == [("post", None), ("off", "5")]
    order = await shop.order(via, 1000)
    await shop.derive()
    assert await told(shop, BenefitGranted) == [("post", None), ("off", "5"), ("off", "10"), ("green", None)]
    tier = (await client.get(f"/v1/loyalty/accounts/{via}")).json()["tier"]
    assert [(item["code"], item["kind"]) for item in tier["benefits"]] == [
        ("post", "free_shipping"),
        ("off", "discount"),
        ("green", "service_level"),
    ]
    assert tier["benefits"][0]["label"] == {"zh": "包邮"}
    await shop.refund(order, via=via)
    await shop.derive()
    assert await told(shop, BenefitRevoked) == [("green", None)]
    states = [item["customers"][0] for item in await shop.said(BenefitsChanged)]
    assert [[benefit["code"] for benefit in state["benefits"]] for state in states] == [
        ["post", "off"],
        ["post", "off", "green"],
        ["post", "off"],
    ]
    versions = [state["version"] for state in states]
    assert versions == sorted(set(versions))
    assert {(state["origin"], state["held_by"]) for state in states} == {("tier", "silver"), ("tier", "gold")}


async def test_an_import_says_the_state_and_no_more(shop: Any) -> None:
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), tiers=TIERS)
    await shop.order(uuid7(), 600, live=False)
    await shop.derive()
    assert await told(shop, BenefitGranted) == []
    assert len(await shop.said(BenefitsChanged)) == 1


async def test_a_new_programme_changes_what_a_tier_gives(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 600)
    await shop.derive()
    tiers = len(await shop.said(TiersChanged))
    body = {"earn_rules": [{"name": "orders"}], "tiers": TIERS}
    assert (await client.put(PATH, json=body, headers={"If-Match": '"1"'})).status_code == 200
    await shop.derive()
    (state,) = await shop.said(BenefitsChanged)
    assert [benefit["code"] for benefit in state["customers"][0]["benefits"]] == ["post", "off"]
    assert state["customers"][0]["benefits"][0]["amount"] == "49.90"
    assert len(await shop.said(TiersChanged)) == tiers  # the tier is the same
    again = await client.put(PATH, json=body, headers={"If-Match": '"2"'})
    assert again.status_code == 200
    await shop.derive()
    assert len(await shop.said(BenefitsChanged)) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tiers": [TIERS[0], {"name": "x"}]}, "no way leads to x"),
        ({"tiers": [{"name": "a", "threshold": 0, "orders": 1}]}, "the first takes nothing but 0 points"),
        ({"tiers": [TIERS[0], {"name": "x", "orders": 2}, {"name": "y", "orders": 2}]}, "orders must ascend"),
        ({"tiers": [TIERS[0], {"name": "x", "spend": 0}]}, "spend must ascend, above 0"),
        ({"tiers": [{**TIERS[0], "benefits": [GREEN, GREEN]}]}, "codes must be unique"),
        ({"tiers": [{**TIERS[0], "benefits": [{"code": "a", "kind": "discount"}]}]}, "percent"),
        ({"tiers": [{**TIERS[0], "benefits": [{"code": "a", "kind": "magic"}]}]}, "kind"),
        ({"tiering": {"period": "calendar", "calendar": "month", "grace_days": 28}}, "grace_days: must be shorter"),
        ({"tiering": {"down": "never"}}, "down"),
    ],
    ids=["no way", "first", "orders", "spend", "codes", "value", "kind", "grace", "down"],
)
async def test_bad_tiers_say_what_is_wrong(client: httpx.AsyncClient, changes: Any, said: str) -> None:
    body = {"earn_rules": [{"name": "orders"}], "tiers": TIERS, **changes}
    answer = await client.put(PATH, json=body, headers={"If-Match": '"1"'})
    assert answer.status_code == 422
    assert said in answer.text


async def test_what_was_read_can_be_sent_back(client: httpx.AsyncClient) -> None:
    body = {"earn_rules": [{"name": "orders"}], "tiers": TIERS, "tiering": {"period": "calendar", "grace_days": 30}}
    made = await client.put(PATH, json=body, headers={"If-Match": '"1"'})
    read = (await client.get(PATH)).json()
    assert read == made.json()
    assert (await client.put(PATH, json=read, headers={"If-Match": '"2"'})).json()["tiers"] == read["tiers"]


async def test_who_is_left_with_nothing_by_a_split_has_no_benefits_either(shop: Any) -> None:
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), tiers=[{**TIERS[0], "benefits": [GREEN]}, *TIERS[1:]])
    anna, phone = uuid7(), uuid7()
    await shop.assign(anna, anna)
    await shop.order(phone, 10)
    await shop.assign(anna, phone)
    await shop.derive()
    await shop.assign(phone, phone)
    await shop.derive()
    states = [state for item in await shop.said(BenefitsChanged) for state in item["customers"]]
    mine = [state for state in states if state["customer"] == str(anna)]
    assert [[benefit["code"] for benefit in state["benefits"]] for state in mine] == [["green"], []]
    assert mine[0]["version"] < mine[1]["version"]
    await shop.assign(anna, phone)
    await shop.derive()
    last = (await shop.said(BenefitsChanged))[-1]["customers"][-1]
    assert (last["customer"], len(last["benefits"])) == (str(anna), 1)
    assert last["version"] > mine[1]["version"]
