"""Whose a payment is, whoever else tells of it, and when it counts."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.derive import Stale
from perennial.common.ids import uuid7
from perennial.loyalty.memberships import service

BASKET = {"products": [{"sku": "PLUS-M", "price": "30"}]}


def ago(days: float) -> datetime:
    return utc_now() - timedelta(days=days)


@pytest.mark.parametrize("late", [False, True], ids=["in-time", "late"])
async def test_a_payment_is_of_whom_it_was_first(shop: Any, club: Any, *, late: bool) -> None:
    first, second = uuid7(), uuid7()
    told = [(first, ago(3)), (second, ago(2))]
    for via, at in reversed(told) if late else told:
        await club.pay(via, at, "p1")
        await shop.derive()
    assert (await club.row(first)).state == "active"
    assert await club.row(second) is None


async def test_an_order_told_under_two_identifiers_pays_once(shop: Any, club: Any) -> None:
    first, second = uuid7(), uuid7()
    order = await shop.order(first, 30, at=ago(3), properties=BASKET)
    await shop.order(second, 30, order, at=ago(2), properties=BASKET)
    assert [row and row.state for row in (await club.row(first), await club.row(second))] == ["active", None]


@pytest.mark.parametrize("verb", ["Order Refunded", "Order Cancelled"])
async def test_what_goes_back_ends_it_whoever_says_so(shop: Any, club: Any, verb: str) -> None:
    payer, other = uuid7(), uuid7()
    order = await shop.order(payer, 30, at=ago(3), properties=BASKET)
    assert (await club.row(payer)).state == "active"
    await shop.refund(order, verb, via=other, at=ago(1))
    assert (await club.row(payer)).state == "refunded"
    assert await club.row(other) is None


async def test_a_refund_of_a_payment_by_another_identifier(shop: Any, club: Any) -> None:
    payer, stranger, other = uuid7(), uuid7(), uuid7()
    await club.tell("Refunded", other, ago(1), payment_id="p1")
    await club.pay(payer, ago(3), "p1")
    await club.pay(stranger, ago(3), "p2")
    assert [(await club.row(via)).state for via in (payer, stranger)] == ["refunded", "active"]


async def test_a_payment_of_a_day_to_come_counts_from_then_on(shop: Any, club: Any) -> None:
    via, at = uuid7(), utc_now() + timedelta(days=100)
    await club.pay(via, at, "p1")
    assert await club.row(via) is None
    await service.refresh(shop.session, Stale({via: True}, []), at + timedelta(seconds=1))
    [course] = (await service.courses(shop.session, [via], await service.plans_of(shop.session), at))[via]
    assert course.run is not None
    assert course.run.since == at


async def test_the_clock_waits_for_a_payment_to_come(shop: Any, club: Any) -> None:
    via, at = uuid7(), utc_now() + timedelta(days=100)
    await club.pay(via, at, "p1")
    await shop.derive()
    assert await _timer(shop, via) == at


async def test_what_was_due_back_stays_due_when_there_is_more(club: Any, plus: dict[str, Any]) -> None:
    await club.plans({**plus, "period": "P30D"})
    via = uuid7()
    for days in (20, 10):
        await club.pay(via, ago(days), amount=30)
        await club.tell("Cancelled", via, ago(days - 1), immediate=True)
    assert (await club.row(via)).refund_due == Decimal(56)


async def _timer(shop: Any, via: UUID) -> datetime:
    found: datetime = await shop.session.scalar(
        text("SELECT due_at FROM timer WHERE kind = 'membership' AND key = :key"), {"key": str(via)}
    )
    return found
