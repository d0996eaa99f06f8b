"""What two people have in common is held for review, with the reason; staff decide."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.loyalty import (
    ReferralSuspected,
)
from perennial.common.ids import uuid7

SHARED: dict[str, dict[str, Any]] = {
    "device": {"device_id": "device-0815"},
    "phone": {"shipping_address": {"phone": "+86 139 8765 4321"}},
    "address": {"shipping_address": {"street": "17 Larkspur Crescent", "postal_code": "00184", "city": "Rome"}},
    "payment": {"payment_hash": "fp_1a2b3c"},
}


@pytest.mark.parametrize("kind", sorted(SHARED))
@pytest.mark.parametrize("whose", ["referrer", "another friend"])
async def test_what_two_have_in_common_holds_it_for_review(shop: Any, friends: Any, kind: str, whose: str) -> None:
    bob, other = await friends.person(), friends.anna
    if whose == "another friend":
        other = await friends.person()
        await friends.click(other, 31)
    await friends.buy(other, 30, **SHARED[kind])
    await friends.click(bob, 21)
    await friends.buy(bob, 20, **SHARED[kind])
    await friends.mature()
    assert (await friends.states())[-1] == ("held", [kind])
    assert await shop.balance(bob) == 0
    assert (await shop.said(ReferralSuspected))[-1]["reasons"] == [kind]


@pytest.mark.parametrize(
    "said",
    [{"device_id": "00000000-0000-0000-0000-000000000000"}, {"payment_hash": "undefined"}, {"device_id": "unknown"}],
    ids=["zeros", "undefined", "unknown"],
)
async def test_what_everybody_has_in_common_holds_nobody(shop: Any, friends: Any, said: dict[str, Any]) -> None:
    bob = await friends.person()
    await friends.buy(friends.anna, 30, **said)
    await friends.click(bob, 21)
    await friends.buy(bob, 20, **said)
    assert await friends.states() == [("pending", [])]


async def test_a_guard_that_is_off_holds_nothing(shop: Any, friends: Any) -> None:
    await friends.rules(guards=["velocity"])
    bob = await friends.person()
    for via, days in ((friends.anna, 30), (bob, 20)):
        await friends.click(bob, 21)
        await friends.buy(via, days, **SHARED["device"])
    assert await friends.states() == [("pending", [])]


async def test_more_friends_than_anybody_has_are_held(shop: Any, friends: Any) -> None:
    for each in range(3):
        bob = await friends.person()
        await friends.click(bob, 21 - each)
        await friends.buy(bob, 20 - each)
    await friends.mature()
    assert await friends.states() == [("rewarded", []), ("rewarded", []), ("held", ["velocity"])]


async def test_ones_own_code_is_no_referral(shop: Any, friends: Any) -> None:
    await friends.click(friends.anna, 21)
    await friends.buy(friends.anna, 20)
    assert await friends.states() == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_who_turns_out_to_be_the_referrer_is_held_and_an_undo_rewards_again(
    shop: Any, friends: Any, when: str
) -> None:
    bob = await friends.person()
    await friends.click(bob, 21)
    await friends.buy(bob, 20)
    await (friends.mature() if when == "after" else friends.states())
    await shop.assign(friends.anna, bob)
    await friends.mature()
    assert await friends.states() == [("held", ["self"])]
    assert await shop.balance(friends.anna) == 0
    await shop.assign(bob, bob)
    await friends.mature()
    assert (await friends.states())[0][0] == "rewarded"
    assert await friends.balances(friends.anna, bob) == [500, 200]


async def _held(friends: Any, days: float = 20) -> UUID:
    bob: UUID = await friends.person()
    await friends.buy(friends.anna, 30, **SHARED["device"])
    await friends.click(bob, days + 1)
    await friends.buy(bob, days, **SHARED["device"])
    await friends.mature()
    return bob


@pytest.mark.parametrize(("days", "state", "gained"), [(20, "rewarded", [500, 200]), (2, "pending", [0, 0])])
async def test_staff_approve(
    shop: Any, friends: Any, client: httpx.AsyncClient, days: float, state: str, gained: list[int]
) -> None:
    bob = await _held(friends, days)
    (item,) = (await client.get("/v1/loyalty/referrals", params={"state": "held"})).json()["items"]
    assert (item["customer_id"], item["friend_id"], item["reasons"]) == (str(friends.anna), str(bob), ["device"])
    path, key = f"/v1/loyalty/referrals/{item['id']}", {"Idempotency-Key": uuid4().hex}
    first, again = [await client.post(f"{path}/approve", json={"reason": "a household"}, headers=key) for _ in "12"]
    assert (first.status_code, first.json()) == (200, again.json())
    assert (first.json()["state"], first.json()["decided_by"], first.json()["note"]) == (state, "tester", "a household")
    assert await friends.balances(friends.anna, bob) == gained
    assert (await client.get(path)).json()["state"] == state
    late = await client.post(f"{path}/reject", json={}, headers={"Idempotency-Key": uuid4().hex})
    assert late.status_code == 409
    audited = await shop.session.execute(text("SELECT detail FROM audit WHERE action = 'referral.decided'"))
    assert audited.scalar_one()["reasons"] == ["device"]


async def test_staff_reject_for_good(shop: Any, friends: Any, client: httpx.AsyncClient) -> None:
    bob = await _held(friends)
    (item,) = (await client.get("/v1/loyalty/referrals", params={"customer_id": str(bob)})).json()["items"]
    body, key = {"reason": f"call {'138'}77776666"}, {"Idempotency-Key": "1"}
    done = await client.post(f"/v1/loyalty/referrals/{item['id']}/reject", json=body, headers=key)
    assert (done.json()["state"], done.json()["decision"]) == ("rejected", "rejected")
    await friends.mature()
    assert await friends.states() == [("rejected", ["device"])]
    assert await friends.balances(friends.anna, bob) == [0, 0]


async def test_a_referral_that_there_is_not(client: httpx.AsyncClient) -> None:
    path = f"/v1/loyalty/referrals/{uuid7()}"
    assert (await client.get(path)).status_code == 404
    assert (await client.post(f"{path}/approve", json={}, headers={"Idempotency-Key": "1"})).status_code == 404
    assert (await client.get("/v1/loyalty/referrals", params={"cursor": "bm8"})).status_code == 400
