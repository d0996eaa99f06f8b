"""The coupons of the 360: what the mall gives, as it was last said, whoever the customer is today."""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.loyalty import (
    RedemptionCancelled,
    RedemptionConfirmed,
    RedemptionEvent,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
)
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.profile.customers.queries import COUPONS
from perennial.profile.sections import queries

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Assign = Callable[..., Awaitable[None]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
COFFEE = {"en": "Coffee 50% / free", "zh": "咖啡券"}
NOTHING = {"total": 0, "items": [], "as_of": None}


def hour(number: int) -> datetime:
    return NOON + timedelta(hours=number)


def shown_at(number: int) -> str:
    return hour(number).isoformat().replace("+00:00", "Z")


def said(contract: type[RedemptionEvent], via: UUID, taken: UUID, version: int, **more: Any) -> RedemptionEvent:
    """A fact, said at the hour of its version, of what was taken at noon."""
    held = {"expires_at": hour(9)} if contract is RedemptionReserved else {}
    own: dict[str, Any] = {
        "redemption_id": taken, "reward_id": uuid7(), "kind": "coupon", "via": via, "customer": via, "points": 5,
        "currency": "points", "amount": Decimal(0), "money": None, "version": version, "reward_name": COFFEE,
        "reserved_at": NOON, "occurred_at": hour(version),
    }  # fmt: skip
    return contract(**{**own, **held, **more})


@pytest.fixture
async def via(hear: Hear) -> UUID:
    """A customer who has no coupon yet."""
    via = uuid7()
    await hear(tracked("A", via=via, at=NOON))
    return via


def orders() -> Iterator[tuple[int, ...]]:
    yield from itertools.permutations((0, 1, 2))
    yield from ((2, 2, 0), (0, 2, 1, 0, 2))


@pytest.mark.parametrize("order", list(orders()), ids=str)
async def test_a_coupon_ends_as_the_last_fact_says(hear: Hear, get: Show, via: UUID, order: tuple[int, ...]) -> None:
    taken = uuid7()
    steps: tuple[type[RedemptionEvent], ...] = (RedemptionReserved, RedemptionConfirmed, RedemptionFulfilled)
    facts = [said(contract, via, taken, version) for version, contract in enumerate(steps, 1)]
    for number in order:
        await hear(facts[number])
    coupons = (await get(f"/v1/customers/{via}"))["coupons"]
    assert coupons == {
        "total": 1,
        "items": [
            {
                "id": str(taken), "source": "loyalty", "kind": "coupon", "name": COFFEE, "state": "fulfilled",
                "since": shown_at(0), "expires_at": None, "as_of": shown_at(3),
            }
        ],
        "as_of": shown_at(3),
    }  # fmt: skip


async def test_a_reservation_says_how_long_it_waits(hear: Hear, get: Show, via: UUID) -> None:
    assert (await get(f"/v1/customers/{via}"))["coupons"] == NOTHING
    await hear(said(RedemptionReserved, via, uuid7(), 1, kind="voucher"))
    [item] = (await get(f"/v1/customers/{via}"))["coupons"]["items"]
    assert (item["kind"], item["state"], item["expires_at"]) == ("voucher", "reserved", shown_at(9))


@pytest.mark.parametrize("over", [RedemptionCancelled, RedemptionExpired])
async def test_what_was_given_back_stays_gone(hear: Hear, get: Show, via: UUID, over: type[RedemptionEvent]) -> None:
    taken = uuid7()
    await hear(said(over, via, taken, 2))
    await hear(said(RedemptionReserved, via, taken, 1))
    assert (await get(f"/v1/customers/{via}"))["coupons"] == {"total": 0, "items": [], "as_of": shown_at(2)}


async def test_other_rewards_are_on_the_timeline_alone(hear: Hear, get: Show, via: UUID) -> None:
    for number, kind in enumerate(("goods", "service", "credit"), 1):
        await hear(said(RedemptionFulfilled, via, uuid7(), number, kind=kind))
    assert (await get(f"/v1/customers/{via}"))["coupons"] == NOTHING
    told = (await get(f"/v1/customers/{via}/timeline", kind="redemption"))["items"]
    assert [(item["name"], item["data"]["kind"]) for item in told] == [
        ("redemption.fulfilled", "credit"), ("redemption.fulfilled", "service"), ("redemption.fulfilled", "goods"),
    ]  # fmt: skip


async def test_facts_of_a_version_that_said_no_name(hear: Hear, get: Show, via: UUID) -> None:
    await hear(said(RedemptionConfirmed, via, uuid7(), 2, reward_name={}, reserved_at=None))
    [item] = (await get(f"/v1/customers/{via}"))["coupons"]["items"]
    assert (item["name"], item["since"]) == ({}, shown_at(2))


async def test_they_follow_merges_and_splits(hear: Hear, get: Show, assign: Assign, via: UUID) -> None:
    other = uuid7()
    await hear(tracked("A", via=other, at=NOON))
    mine = [uuid7() for _ in range(COUPONS - 1)]
    await hear(
        *(said(RedemptionFulfilled, via, taken, 3, reserved_at=hour(2 * number)) for number, taken in enumerate(mine)),
        *(said(RedemptionFulfilled, other, uuid7(), 3, reserved_at=hour(2 * number + 1)) for number in range(5)),
    )
    await assign(via, other, version=2)
    both = (await get(f"/v1/customers/{other}"))["coupons"]
    assert (both["total"], len(both["items"])) == (COUPONS + 4, COUPONS)
    since = [item["since"] for item in both["items"]]
    assert since == sorted(since, reverse=True)
    assert both["items"][0]["id"] == str(mine[-1])
    await assign(other, other, version=3)
    alone = (await get(f"/v1/customers/{via}"))["coupons"]
    assert [item["id"] for item in alone["items"]] == [str(taken) for taken in reversed(mine)]
    assert (await get(f"/v1/customers/{other}"))["coupons"]["total"] == 5


async def test_more_than_one_service_can_give_them(hear: Hear, get: Show, via: UUID, begun: WriteSession) -> None:
    same = uuid7()
    await hear(said(RedemptionFulfilled, via, same, 3))
    given = ("campaigns", same, via, "coupon", '{"en": "Tenth"}', "issued", True, 1, hour(5), hour(99), hour(5))
    await queries.write_coupons(begun, [given])
    coupons = (await get(f"/v1/customers/{via}"))["coupons"]
    assert [(item["source"], item["state"]) for item in coupons["items"]] == [
        ("campaigns", "issued"), ("loyalty", "fulfilled"),
    ]  # fmt: skip
    assert (coupons["total"], coupons["as_of"], coupons["items"][0]["expires_at"]) == (2, shown_at(5), shown_at(99))


async def test_customers_see_their_own(
    hear: Hear, client: httpx.AsyncClient, token: Callable[..., str], via: UUID
) -> None:
    await hear(said(RedemptionFulfilled, via, uuid7(), 3), said(RedemptionFulfilled, uuid7(), uuid7(), 3))
    own = (await client.get("/v1/me", headers={"Authorization": f"Bearer {token(via=via)}"})).json()["coupons"]
    assert (own["total"], [item["name"] for item in own["items"]]) == (1, [COFFEE])


async def test_one_row_of_each(hear: Hear, via: UUID, session: ReadSession) -> None:
    taken = uuid7()
    await hear(said(RedemptionReserved, via, taken, 1), said(RedemptionCancelled, via, taken, 2))
    rows = await session.execute(text("SELECT state, held, version FROM coupon"))
    assert [tuple(row) for row in rows] == [("cancelled", False, 2)]
