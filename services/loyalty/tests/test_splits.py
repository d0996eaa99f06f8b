"""A side that spent the other's points owes them openly: waived, owed, or for staff to decide. Points are conserved."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import SplitSettled
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict
from perennial.loyalty.points import service
from perennial.loyalty.points.posting import Posting

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


async def _spend(shop: Any, via: UUID, points: int) -> bool:
    try:
        async with shop.session.begin_nested():
            await service.spend(shop.session, Posting(uuid7(), "spend", via, utc_now(), "coat", -points))
    except Conflict:
        return False
    return True


async def _torn(shop: Any, policy: str) -> tuple[UUID, UUID]:
    """Anna had 100 and the phone 60; as one customer the phone spent 150; then they were split."""
    anna, phone = uuid7(), uuid7()
    await shop.programme(BEGINNING, split_policy=policy)
    await shop.order(anna, 100)
    await shop.order(phone, 60)
    await shop.assign(anna, phone)
    assert await _spend(shop, phone, 150)
    await shop.assign(phone, phone)
    return anna, phone


@pytest.mark.parametrize(("policy", "left"), [("debt", -90), ("review", -90), ("waive", 0)])
async def test_what_a_split_leaves_owed_follows_the_policy(shop: Any, policy: str, left: int) -> None:
    anna, phone = await _torn(shop, policy)
    assert (await shop.balance(anna), await shop.balance(phone)) == (100, left)
    (told,) = await shop.said(SplitSettled)
    assert (told["points"], told["via"], told["lender"], told["customer"]) == (90, str(phone), str(anna), str(phone))
    assert told["outcome"] == {"debt": "debt", "review": "review", "waive": "waived"}[policy]


async def test_a_merge_takes_a_waiver_back_however_often(shop: Any) -> None:
    anna, phone = await _torn(shop, "waive")
    for _ in range(2):
        await shop.assign(anna, phone)
        assert await shop.balance(anna) == 10
        await shop.prove()
        await shop.assign(phone, phone)
        assert (await shop.balance(anna), await shop.balance(phone)) == (100, 0)
        await shop.prove()
    outcomes = [told["outcome"] for told in await shop.said(SplitSettled)]
    assert outcomes == ["waived", "rejoined", "waived", "rejoined", "waived"]


async def test_who_paid_with_their_own_points_owes_nothing(shop: Any) -> None:
    anna, phone = uuid7(), uuid7()
    await shop.order(anna, 100)
    await shop.order(phone, 60)
    await shop.assign(anna, phone)
    assert await _spend(shop, phone, 50)
    await shop.assign(phone, phone)
    assert (await shop.balance(anna), await shop.balance(phone)) == (100, 10)
    assert await shop.said(SplitSettled) == []


async def test_a_debt_from_before_is_none_of_the_split(shop: Any) -> None:
    anna, phone = uuid7(), uuid7()
    order = await shop.order(phone, 60)
    assert await _spend(shop, phone, 60)
    await shop.refund(order, via=phone)
    await shop.assign(anna, phone)
    await shop.order(anna, 20)
    await shop.assign(phone, phone)
    (told,) = await shop.said(SplitSettled)
    assert told["points"] == 20
    assert (await shop.balance(anna), await shop.balance(phone)) == (20, -60)


async def test_staff_decide_what_is_for_review(shop: Any, client: httpx.AsyncClient) -> None:
    _, phone = await _torn(shop, "review")
    (item,) = (await client.get("/v1/loyalty/debts", params={"state": "review"})).json()["items"]
    assert (item["points"], item["customer_id"], item["state"]) == (90, str(phone), "review")
    path = f"/v1/loyalty/debts/{item['id']}/decide"
    body = {"decision": "waive", "reason": "our fault, call 13877776666"}
    key = {"Idempotency-Key": uuid4().hex}
    first, again = [await client.post(path, json=body, headers=key) for _ in range(2)]
    assert (first.status_code, first.json()) == (200, again.json())
    assert (first.json()["state"], first.json()["decided_by"]) == ("waived", "tester")
    assert await shop.balance(phone) == 0
    late = await client.post(path, json={"decision": "debt", "reason": "no"}, headers={"Idempotency-Key": "2"})
    assert (late.status_code, late.json()["type"].rsplit(":", 1)[-1]) == (409, "wrong-state")
    listed = (await client.get("/v1/loyalty/debts", params={"customer_id": str(phone)})).json()["items"]
    assert [found["state"] for found in listed] == ["waived"]
    audited = await shop.session.execute(text("SELECT detail ->> 'reason' FROM audit WHERE action = 'split.decided'"))
    assert audited.scalar_one() == "our fault, call 138****6666"


async def test_a_debt_that_there_is_not(client: httpx.AsyncClient) -> None:
    body = {"decision": "waive", "reason": "no"}
    found = await client.post(f"/v1/loyalty/debts/{uuid7()}/decide", json=body, headers={"Idempotency-Key": "1"})
    assert found.status_code == 404
    assert (await client.get("/v1/loyalty/debts", params={"cursor": "bm8"})).status_code == 400


PEOPLE = 3
step = st.one_of(
    st.tuples(st.just("order"), st.integers(0, PEOPLE - 1), st.integers(1, 90)),
    st.tuples(st.just("spend"), st.integers(0, PEOPLE - 1), st.integers(1, 150)),
    st.tuples(st.just("merge"), st.integers(0, PEOPLE - 1), st.integers(1, PEOPLE - 1)),
    st.tuples(st.just("split"), st.integers(0, PEOPLE - 1)),
)


async def _outstanding(shop: Any) -> int:
    """What the programme has given for debts and not taken back."""
    found = await shop.session.execute(
        text("""SELECT coalesce(sum(l.points - l.reversed), 0) FROM lot l
                JOIN posting p ON p.id = l.id AND p.reason = 'split'""")
    )
    return int(found.scalar_one())


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(policy=st.sampled_from(["debt", "waive", "review"]), steps=st.lists(step, min_size=6, max_size=18))
async def test_points_are_conserved_whatever_is_merged_and_split(
    shop: Any, policy: str, steps: list[tuple[Any, ...]]
) -> None:
    async with shop.session.begin_nested() as example:
        vias = sorted(uuid7() for _ in range(PEOPLE))
        owner, total = list(range(PEOPLE)), 0
        await shop.programme(BEGINNING, split_policy=policy)
        for via in vias:
            await shop.assign(via, via)
        for name, one, *more in steps:
            if name == "order":
                await shop.order(vias[one], more[0])
                total += more[0]
            elif name == "spend":
                total -= more[0] if await _spend(shop, vias[one], more[0]) else 0
            elif name == "merge":
                gone = owner[(one + more[0]) % PEOPLE]
                moved = [via for via in range(PEOPLE) if owner[via] == gone and gone != owner[one]]
                await _assign(shop, vias, owner, owner[one], moved)
            elif owner[one] != one:
                await _assign(shop, vias, owner, one, [one])
            await shop.prove()
            balances = [await shop.balance(vias[each]) for each in set(owner)]
            assert sum(balances) == total + await _outstanding(shop)
            assert policy != "waive" or min(balances) >= 0
        await _assign(shop, vias, owner, 0, [via for via in range(PEOPLE) if owner[via] != 0])
        assert (await shop.balance(vias[0]), await _outstanding(shop)) == (total, 0), "as though it had never been torn"
        await example.rollback()


async def _assign(shop: Any, vias: list[UUID], owner: list[int], to: int, moved: list[int]) -> None:
    for via in moved:
        owner[via] = to
    if moved:
        await shop.assign(vias[to], *[vias[via] for via in moved])
