"""Checking in: once a day, streaks, and who the customer is today."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.common.ids import uuid7
from perennial.common.web import NotFound
from perennial.loyalty.earning.checkin import service
from perennial.loyalty.earning.checkin.definition import CheckIn, StreakBonus

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PATH = "/v1/me/check-in"
RULES = {"points": 5, "bonuses": [{"days": 3, "points": 20}, {"days": 7, "points": 100}], "cycle_days": 7}


async def come(shop: Any, via: UUID, *days: int) -> service.Standing:
    for day in days:
        standing, _ = await service.check_in(shop.session, via, NOON + timedelta(days=day))
    return standing


@pytest.fixture
async def programme(shop: Any) -> None:
    await shop.programme(LONG_AGO, check_in=RULES)


@pytest.mark.usefixtures("programme")
async def test_once_a_day_and_more_for_days_running(shop: Any) -> None:
    via = uuid7()
    await shop.assign(via, via)
    first = await come(shop, via, 0)
    assert (first.streak, first.points, first.bonus, first.next_bonus) == (1, 5, 0, service.Ahead(2, 20))
    _, new = await service.check_in(shop.session, via, NOON + timedelta(hours=1))
    assert not new
    third = await come(shop, via, 1, 2)
    assert (third.streak, third.bonus) == (3, 20)
    assert await shop.balance(via) == 35
    missed = await come(shop, via, 4)
    assert missed.streak == 1
    week = await come(shop, via, 5, 6, 7, 8, 9, 10, 11, 12, 13)
    assert week.streak == 10
    assert await shop.balance(via) == 35 + 10 * 5 + 20 + 100 + 20, "the cycle begins again"


@pytest.mark.usefixtures("programme")
async def test_days_are_those_of_the_programme(shop: Any, settings: Any) -> None:
    shop.session.info["settings"] = settings.model_copy(update={"timezone": "Asia/Shanghai"})
    via, evening = uuid7(), datetime(2026, 3, 2, 15, 59, tzinfo=UTC)
    for moment in (evening, evening + timedelta(minutes=2)):
        standing, new = await service.check_in(shop.session, via, moment)
        assert new
    assert (standing.streak, standing.day) == (2, date(2026, 3, 3))


@pytest.mark.usefixtures("programme")
async def test_a_merge_joins_the_days_and_its_undoing_parts_them(shop: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await come(shop, phone, 0, 2)
    await come(shop, mail, 1, 2)
    await shop.assign(phone, phone, mail)
    standing = await service.standing(shop.session, mail, NOON + timedelta(days=2))
    assert (standing.streak, standing.checked_in) == (3, True)
    assert await shop.balance(phone) == 20, "what was earned before stays"
    assert (await come(shop, mail, 3)).streak == 4
    assert (await come(shop, phone, 3)).streak == 4
    assert await shop.balance(phone) == 25
    await shop.assign(mail, mail)
    assert (await come(shop, phone, 3)).streak == 2
    assert await shop.balance(phone) == 15


async def test_a_programme_without_it(shop: Any) -> None:
    with pytest.raises(NotFound):
        await service.check_in(shop.session, uuid7(), NOON)


@pytest.mark.usefixtures("programme")
async def test_the_app_sees_where_it_stands(shop: Any, client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    via = uuid7()
    await shop.assign(via, via)
    mine = {"Authorization": f"Bearer {token(via=str(via))}"}
    before = (await client.get(PATH, headers=mine)).json()
    assert (before["checked_in"], before["streak"], before["points"], before["recent"]) == (False, 0, 5, [])
    done = await client.post(PATH, headers=mine)
    assert (done.status_code, done.json()["streak"], done.json()["checked_in"]) == (201, 1, True)
    again = await client.post(PATH, headers=mine)
    assert (again.status_code, again.json()) == (200, done.json())
    assert (await client.get(PATH, headers=mine)).json() == done.json()
    assert (await client.post(PATH)).status_code == 403
    lines = (await client.get("/v1/me/loyalty/ledger", headers=mine)).json()["items"]
    assert [(line["reason"], line["points"]) for line in lines] == [("check-in", 5)]


async def test_a_hundred_taps_at_once_are_one_check_in(committing: Any) -> None:
    via = uuid7()
    async with committing() as shop:
        await shop.assign(via, via)
        await shop.programme(LONG_AGO, check_in=RULES)

    async def tap() -> bool:
        async with committing() as shop:
            return (await service.check_in(shop.session, via, NOON))[1]

    assert sum(await asyncio.gather(*[tap() for _ in range(12)])) == 1
    async with committing() as shop:
        assert await shop.balance(via) == 5
        await shop.prove()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"bonuses": [{"days": 3, "points": 1}] * 2}, "bonuses: days must be unique"),
        ({"bonuses": [{"days": 9, "points": 1}], "cycle_days": 7}, "bonuses: a day beyond cycle_days is never reached"),
        ({"currency": "gold"}, "check_in: there is no currency gold"),
    ],
)
async def test_what_cannot_be_says_why(client: httpx.AsyncClient, rules: Any, words: str) -> None:
    body = {"earn_rules": [], "tiers": [{"name": "member", "threshold": 0}], "check_in": rules}
    answer = await client.put("/v1/loyalty/programme", json=body, headers={"If-Match": '"1"'})
    assert (answer.status_code, words in answer.text) == (422, True)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=40), st.none() | st.integers(2, 10), st.dictionaries(
    st.integers(2, 10), st.integers(1, 50), max_size=4))  # fmt: skip
def test_streaks_and_bonuses_equal_counting_on_fingers(came: Any, cycle: int | None, bonuses: dict[int, int]) -> None:
    kept = {days: points for days, points in bonuses.items() if cycle is None or days <= cycle}
    made = [StreakBonus(days=days, points=points) for days, points in kept.items()]
    rules = CheckIn(bonuses=made, cycle_days=cycle)
    finger, streak = 0, 0
    for here in came:
        finger, streak = (finger + 1, streak + 1) if here else (0, 0)
        if here:
            assert rules.bonus(streak) == kept.get(finger, 0)
        if finger == cycle:
            finger = 0
