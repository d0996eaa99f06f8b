"""Pending and expiring points, by jobs that may come late or twice."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict
from perennial.loyalty.dates import add_months
from perennial.loyalty.jobs import activate, expire
from perennial.loyalty.points import service
from perennial.loyalty.points.posting import Posting

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def _spend(shop: Any, via: UUID, points: int, days_ago: int = 0) -> None:
    at = utc_now() - timedelta(days=days_ago)
    await service.spend(shop.session, Posting(uuid7(), "spend", via, at, "coat", -points))


async def _expire(shop: Any, now: datetime) -> None:
    while await service.expire_due(shop.session, now):
        pass


@pytest.mark.parametrize(
    ("at", "months", "expected"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2026-11-30", 3, "2027-02-28"),
        ("2026-12-15", 1, "2027-01-15"),
    ],
)
def test_months_end_where_months_end(at: str, months: int, expected: str) -> None:
    assert add_months(datetime.fromisoformat(at), months) == datetime.fromisoformat(expected)


async def test_points_never_expire_unless_the_programme_says_so(shop: Any) -> None:
    via = uuid7()
    await shop.order(via, 100, at=LONG_AGO)
    await _expire(shop, utc_now() + timedelta(days=9999))
    assert await shop.balance(via) == 100


async def test_what_is_not_spent_in_time_expires_once(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=12)
    via, now = uuid7(), utc_now()
    await shop.order(via, 100, at=now - timedelta(days=500))
    await shop.order(via, 70, at=now - timedelta(days=100))
    await _spend(shop, via, 40, days_ago=200)
    for _ in range(3):
        await _expire(shop, now)
    account = await shop.account(via)
    assert (account.balance, account.expired, account.spent) == (70, 60, 40)
    await _expire(shop, now + timedelta(days=300))
    assert (await shop.account(via)).expired == 130


async def test_what_has_expired_cannot_be_spent_though_the_job_has_not_run(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=12)
    mail, phone, other, now = uuid7(), uuid7(), uuid7(), utc_now()
    await shop.assign(mail, mail, phone)
    for via in (mail, other):
        await shop.order(via, 100, at=now - timedelta(days=500))
    await shop.order(phone, 70, at=now - timedelta(days=100))
    await _spend(shop, phone, 40, days_ago=200)
    with pytest.raises(Conflict, match="the balance is 70"):
        await _spend(shop, phone, 71)
    await _spend(shop, phone, 70)
    account = await shop.account(mail)
    assert (account.balance, account.expired, account.spent) == (0, 60, 110)
    assert await shop.balance(other) == 100  # the job's affair
    await shop.prove()
    await _expire(shop, now)
    assert await shop.balance(mail) == await shop.balance(other) == 0


async def test_what_had_expired_pays_no_debt_when_it_is_heard_of_late(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=1)
    via, now = uuid7(), utc_now()
    order = await shop.order(via, 100)
    await _spend(shop, via, 100)
    await shop.refund(order, via=via)
    await shop.order(via, 30, at=now - timedelta(days=90))
    await shop.prove()  # something stands and something is owed, but the one never reached the other
    await _expire(shop, now)
    assert await shop.balance(via) == -100


async def test_a_refund_never_takes_what_has_expired(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=12)
    via, now = uuid7(), utc_now()
    order = await shop.order(via, 100, at=now - timedelta(days=500))
    await _spend(shop, via, 40, days_ago=200)
    await _expire(shop, now)
    await shop.refund(order, via=via)
    await shop.refund(order, "Order Cancelled", via=via)
    account = await shop.account(via)
    assert (account.balance, account.expired, account.reversed) == (-40, 60, 40)


async def test_an_undone_merge_lets_points_expire_that_the_other_had_used(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=12)
    anna, phone, now = uuid7(), uuid7(), utc_now()
    await shop.order(anna, 100, at=now - timedelta(days=500))
    await shop.order(phone, 80, at=now - timedelta(days=210))
    await shop.assign(anna, phone)
    await _spend(shop, phone, 70, days_ago=200)
    await _expire(shop, now)
    assert await shop.balance(anna) == 80  # 30 of Anna's expired, 70 were spent
    await shop.assign(phone, phone)
    await shop.derive()
    await _expire(shop, now)
    assert (await shop.balance(anna), await shop.balance(phone)) == (0, 10)


async def test_pending_points_cannot_be_spent_until_their_time_has_come(shop: Any, client: Any) -> None:
    await shop.programme(LONG_AGO, pending_days=14)
    via, now = uuid7(), utc_now()
    await shop.order(via, 100, "A")
    await shop.order(via, 50, at=now - timedelta(days=20))
    await shop.refund("A", via=via, properties={"revenue": 20})
    account = await shop.account(via)
    assert (account.balance, account.pending, account.earned) == (50, 80, 150)
    assert await service.activate_due(shop.session, now + timedelta(days=13)) == 0
    assert await service.activate_due(shop.session, now + timedelta(days=15)) == 1
    assert await service.activate_due(shop.session, now + timedelta(days=15)) == 0
    account = await shop.account(via)
    assert (account.balance, account.pending, account.reversed) == (130, 0, 20)
    lines = (await client.get(f"/v1/loyalty/accounts/{via}/ledger")).json()["items"]
    assert [(line["kind"], line["points"], line["pending"], line["balance"]) for line in lines] == [
        ("activate", 80, -80, 130),
        ("reverse", 0, -20, 50),
        ("earn", 0, 100, 50),
        ("earn", 50, 0, 50),
    ]


async def test_points_that_were_all_reversed_just_stop_waiting(shop: Any) -> None:
    await shop.programme(LONG_AGO, pending_days=14)
    via = uuid7()
    order = await shop.order(via, 100)
    await shop.refund(order, via=via)
    assert await service.activate_due(shop.session, utc_now() + timedelta(days=15)) == 1
    assert (await shop.account(via)).balance == 0


async def test_the_jobs_run_until_nothing_is_due(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=1)
    via = uuid7()
    await shop.order(via, 100, at=LONG_AGO)
    for job in (activate, expire):
        await job(shop.runtime)
    assert await shop.balance(via) == 0
    swept = await shop.session.execute(text("SELECT swept FROM lot"))
    assert swept.scalars().all() == [True]
