"""Who brought whom, what both get after the return window, what is taken back."""

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import (
    PointsEarned,
    ReferralEnded,
    ReferralQualified,
    ReferralRewarded,
)
from perennial.common.ids import partition_of


def ago(days: float) -> datetime:
    return utc_now() - timedelta(days=days)


async def test_both_are_rewarded_once_the_return_window_is_over(shop: Any, friends: Any) -> None:
    bob = await friends.person()
    await friends.click(bob, 21)
    await friends.buy(bob, 20)
    assert await friends.states() == [("pending", [])]
    timer = (await shop.session.execute(text("SELECT * FROM timer WHERE kind = 'referral'"))).one()
    assert timer.partition == partition_of(bob)
    assert await friends.balances(friends.anna, bob) == [0, 0]
    await friends.mature()
    assert await friends.states() == [("rewarded", [])]
    assert await friends.balances(friends.anna, bob) == [500, 200]
    await friends.mature()
    await friends.buy(bob, 1)
    await friends.mature()
    assert await friends.balances(friends.anna, bob) == [500, 200]
    assert [len(await shop.said(said)) for said in (ReferralQualified, ReferralRewarded)] == [1, 1]
    assert sorted(told["points"] for told in await shop.said(PointsEarned)) == [200, 500]


async def test_within_the_window_nothing_is_given(shop: Any, friends: Any) -> None:
    bob = await friends.person()
    await friends.click(bob, 3)
    await friends.buy(bob, 2)
    await friends.mature()
    assert await friends.states() == [("pending", [])]


@pytest.mark.parametrize("told", ["before", "after"])
async def test_what_went_back_in_time_rewards_nobody_however_late_it_is_told(
    shop: Any, friends: Any, told: str
) -> None:
    bob = await friends.person()
    await friends.click(bob, 21)
    order = await friends.buy(bob, 20)
    if told == "after":
        await friends.mature()
        assert await friends.balances(friends.anna, bob) == [500, 200]
    await shop.refund(order, via=bob, at=ago(10), properties={"revenue": 60})  # 40 are left, less than the minimum
    await friends.mature()
    assert await friends.states() == [("void" if told == "before" else "reversed", [])]
    assert await friends.balances(friends.anna, bob) == [0, 0]
    await friends.mature()
    assert [fact["outcome"] for fact in await shop.said(ReferralEnded)] == ["void" if told == "before" else "reversed"]


@pytest.mark.parametrize("sequence", list(permutations(range(3))), ids=str)
async def test_whatever_the_sequence_nobody_keeps_what_went_back(
    shop: Any, friends: Any, sequence: tuple[int, ...]
) -> None:
    bob = await friends.person()
    for step in sequence:
        if step == 0:
            await friends.click(bob, 21)
        elif step == 1:
            await friends.buy(bob, 20, 100, "A")
        else:
            await shop.refund("A", via=bob, at=ago(10))
        await friends.mature()
    assert (await friends.states())[0][0] in {"void", "reversed"}
    assert await friends.balances(friends.anna, bob) == [0, 0]


async def test_what_went_back_afterwards_changes_nothing(shop: Any, friends: Any) -> None:
    bob = await friends.person()
    await friends.click(bob, 31)
    order = await friends.buy(bob, 30)
    await friends.mature()
    await shop.refund(order, via=bob, at=ago(2))
    await friends.mature()
    assert await friends.states() == [("rewarded", [])]


async def test_the_touch_may_be_told_after_the_order(shop: Any, friends: Any) -> None:
    bob = await friends.person()
    await friends.buy(bob, 20)
    assert await friends.states() == []
    await friends.click(bob, 21, name="Signed Up")
    await friends.mature()
    assert await friends.balances(friends.anna, bob) == [500, 200]


async def test_a_code_given_with_the_order_counts(shop: Any, friends: Any) -> None:
    bob = await friends.person()
    await friends.buy(bob, 20, referral_code=friends.code.lower().replace("-", " "))
    assert await friends.states() == [("pending", [])]


@pytest.mark.parametrize(("touch", "winner"), [("first", 0), ("last", 1)])
async def test_first_or_last_touch(shop: Any, friends: Any, touch: str, winner: int) -> None:
    carl = await friends.person()
    await friends.rules(touch=touch)
    bob = await friends.person()
    await friends.click(bob, 22)
    await friends.click(bob, 21, await friends.code_of(carl))
    await friends.buy(bob, 20)
    await friends.mature()
    assert (await friends.balances(friends.anna, carl))[winner] == 500


@pytest.mark.parametrize(
    ("clicked", "bought", "revenue", "before"),
    [(60, 20, 100, None), (10, 20, 100, None), (21, 20, 49, None), (21, 20, 100, 22)],
    ids=["the window is over", "the touch came later", "too little", "had ordered before"],
)
async def test_what_does_not_count(
    shop: Any, friends: Any, clicked: float, bought: float, revenue: int, before: float | None
) -> None:
    bob = await friends.person()
    await friends.click(bob, clicked)
    if before is not None:
        await friends.buy(bob, before, 10)
    await friends.buy(bob, bought, revenue)
    assert await friends.states() == []


async def test_an_order_too_small_leaves_the_next_one_its_chance(shop: Any, friends: Any) -> None:
    bob = await friends.person()
    await friends.click(bob, 25)
    await friends.buy(bob, 24, 10)
    await friends.buy(bob, 23, 80)
    await friends.mature()
    assert await friends.balances(friends.anna, bob) == [500, 200]
