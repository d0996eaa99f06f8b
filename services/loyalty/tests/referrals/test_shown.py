"""Codes and links, what a customer and staff see of referrals, and whatever events say."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.loyalty.referrals import codes


async def test_my_code_my_link_and_what_came_of_it(
    shop: Any, friends: Any, client: httpx.AsyncClient, token: Any
) -> None:
    carl = await friends.person()
    mine = {"Authorization": f"Bearer {token(via=carl)}"}
    assert (await client.get("/v1/me/referral", headers=mine)).json()["code"] is None
    made = [await client.post("/v1/me/referral", headers=mine) for _ in range(2)]
    assert {answer.status_code for answer in made} == {201}
    code = made[0].json()["code"]
    assert made[1].json()["code"] == code == codes.plain(code)
    bob = await friends.person()
    await friends.click(bob, 21, code)
    await friends.buy(bob, 20)
    await friends.mature()
    seen = (await client.get("/v1/me/referral", headers=mine)).json()
    assert (seen["code"], seen["link"]) == (code, f"https://shop.example/r/{code}")
    assert seen["stats"] == {"came": 1, "waiting": 0, "rewarded": 1, "points": {"points": 500}}
    assert [reward["points"] for reward in seen["terms"]["rewards"]] == [500, 200]


async def test_without_rules_there_are_no_codes(shop: Any, client: httpx.AsyncClient, token: Any) -> None:
    via = uuid7()
    await shop.assign(via, via)
    mine = {"Authorization": f"Bearer {token(via=via)}"}
    assert (await client.get("/v1/me/referral", headers=mine)).json()["terms"] is None
    assert (await client.post("/v1/me/referral", headers=mine)).status_code == 409
    await shop.say(tracked("Referral Clicked", {"code": codes.new()}, via=via))
    await shop.order(via, 100, properties={"device_id": "device-0815"})
    assert (await shop.session.execute(text("SELECT count(*) FROM referral_signal"))).scalar_one() == 0


async def test_the_tree_is_bounded_in_depth_and_size(shop: Any, friends: Any, client: httpx.AsyncClient) -> None:
    await friends.rules(guards=[])
    parents, level = [friends.anna], []
    for depth in range(3):
        level = [await friends.person() for _ in range(2)]
        for each in level:
            await friends.click(each, 60 - depth * 10, await friends.code_of(parents[0]))
            await friends.buy(each, 59 - depth * 10)
        parents = level
    await shop.derive()
    path = f"/v1/loyalty/accounts/{friends.anna}/referrals/tree"
    whole = (await client.get(path)).json()
    assert [node["depth"] for node in whole["nodes"]] == [1, 1, 2, 2, 3, 3]
    assert not whole["truncated"]
    assert {node["parent_id"] for node in whole["nodes"] if node["depth"] == 1} == {str(friends.anna)}
    assert len((await client.get(path, params={"depth": 1})).json()["nodes"]) == 2
    few = (await client.get(path, params={"limit": 3})).json()
    assert (len(few["nodes"]), few["truncated"]) == (3, True)
    assert (await client.get(path, params={"depth": 6})).status_code == 422


async def test_a_ring_ends(shop: Any, friends: Any, client: httpx.AsyncClient) -> None:
    bob = await friends.person()
    for friend, code in ((bob, friends.code), (friends.anna, await friends.code_of(bob))):
        await friends.click(friend, 21, code)
        await friends.buy(friend, 20)
    await shop.derive()
    seen = (await client.get(f"/v1/loyalty/accounts/{friends.anna}/referrals/tree")).json()
    assert [node["customer_id"] for node in seen["nodes"]] == [str(bob)]


def test_codes_are_read_whatever_the_case_and_the_dashes() -> None:
    made = {codes.new() for _ in range(200)}
    assert len(made) == 200
    for code in made:
        assert codes.plain(code) == codes.plain(code.lower().replace("-", "")) == code
    for wrong in ("", "K7QM3", None, 7, "O0O0O-11111", "K7QM3-TXP9W-K7QM3", "会员会员会员会员会员", ["K7QM3-TXP9W"]):
        assert codes.plain(wrong) is None


@pytest.mark.parametrize(
    "said",
    [
        {"code": 7}, {"code": None, "referral_code": ["a"]}, {"shipping_address": "Rome", "phone": 7},
        {"shipping_address": {"street": ["a"], "phone": "x" * 999}, "payment_hash": {"a": 1}},
        {"device_id": "\u0000" * 9},
        {"payment": "cash", "device_id": "设备/1 %", "phone": "00000000"},
    ],
    ids=range(6),
)  # fmt: skip
async def test_whatever_is_said_is_taken_or_left(shop: Any, friends: Any, said: dict[str, Any]) -> None:
    bob = await friends.person()
    await shop.say(tracked("Referral Clicked", said, via=bob), tracked("Signed Up", said, via=bob))
    await friends.buy(bob, 1, **said)
    assert await friends.states() == []


@pytest.mark.parametrize(
    "changes",
    [{"link": "https://shop.example/r"}, {"touch": "any"}, {"referrer": {"points": 5, "currency": "gold"}}],
    ids=["link", "touch", "currency"],
)
async def test_rules_that_cannot_be(client: httpx.AsyncClient, rules: dict[str, Any], changes: dict[str, Any]) -> None:
    current = await client.get("/v1/loyalty/programme")
    body = {**current.json(), "referral": {**rules, **changes}}
    answer = await client.put("/v1/loyalty/programme", json=body, headers={"If-Match": current.headers["ETag"]})
    assert answer.status_code == 422
