"""How long points last: by the calendar, by what customers do; and what is said before they end."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import ExpiryAnnounced
from perennial.common.ids import uuid7
from perennial.loyalty.dates import add_months
from perennial.loyalty.expiry.service import announce
from perennial.loyalty.points import service
from perennial.loyalty.points.posting import Posting
from perennial.loyalty.programme.expiry import Expiry

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
instants = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("rule", "at", "expected"),
    [
        ({"kind": "never"}, "2026-01-31T10:00Z", None),
        ({"kind": "months", "months": 1}, "2026-01-31T10:00Z", "2026-02-28T10:00Z"),
        ({"kind": "months", "months": 12, "until": "month"}, "2026-01-15T10:00Z", "2027-01-31T16:00Z"),
        ({"kind": "months", "months": 12, "until": "month"}, "2026-01-31T16:00Z", "2027-02-28T16:00Z"),
        ({"kind": "months", "months": 2, "until": "quarter"}, "2026-02-15T10:00Z", "2026-06-30T16:00Z"),
        ({"kind": "months", "months": 1, "until": "year"}, "2026-11-30T10:00Z", "2026-12-31T16:00Z"),
        ({"kind": "months", "months": 1, "until": "year"}, "2026-12-01T10:00Z", "2027-12-31T16:00Z"),
        ({"kind": "date", "day": "12-31"}, "2026-03-01T00:00Z", "2026-12-31T16:00Z"),
        ({"kind": "date", "day": "12-31"}, "2026-12-31T16:00Z", "2027-12-31T16:00Z"),
        ({"kind": "date", "day": "12-31", "months": 6}, "2026-08-01T00:00Z", "2027-12-31T16:00Z"),
        ({"kind": "date", "day": "02-29"}, "2026-01-01T00:00Z", "2026-02-28T16:00Z"),
        ({"kind": "date", "day": "02-29"}, "2027-06-01T00:00Z", "2028-02-29T16:00Z"),
    ],
)
def test_when_points_end(rule: dict[str, Any], at: str, expected: str | None) -> None:
    ends = Expiry.model_validate(rule).after(datetime.fromisoformat(at), SHANGHAI)
    assert ends == (expected and datetime.fromisoformat(expected))


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "months"}, {"kind": "months", "months": 0}, {"kind": "sliding"}, {"kind": "date"},
        {"kind": "date", "day": "02-30"}, {"kind": "never", "day": "12-31"}, {"kind": "never", "until": "month"},
        {"kind": "months", "months": 121}, {"kind": "weekly"},
    ],
)  # fmt: skip
def test_what_an_expiry_may_not_be(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"months|day|until|kind"):
        Expiry.model_validate(rule)


@given(instants, st.lists(instants, max_size=12), st.integers(1, 24))
def test_points_slide_as_long_as_something_is_done_in_time(
    earned: datetime, activity: list[datetime], months: int
) -> None:
    rule = Expiry(kind="sliding", months=months)
    cared, ends = earned, add_months(earned, months)
    for at in sorted(activity):  # the naive oracle: month after month without anything, and they are gone
        if cared < at < ends:
            cared, ends = at, max(ends, add_months(at, months))
    assert rule.slid(earned, sorted(activity), SHANGHAI) == ends


async def _expire(shop: Any, now: datetime) -> None:
    while await service.expire_due(shop.session, now):
        pass


async def _spend(shop: Any, via: UUID, points: int, at: datetime) -> None:
    await service.spend(shop.session, Posting(uuid7(), "spend", via, at, "coat", -points))


SLIDING = [{"code": "points", "expiry": {"kind": "sliding", "months": 6}}]


async def test_whoever_comes_back_in_time_loses_nothing(shop: Any) -> None:
    await shop.programme(LONG_AGO, currencies=SLIDING)
    loyal, lost, now = uuid7(), uuid7(), utc_now()
    for via in (loyal, lost):
        await shop.order(via, 100, at=now - timedelta(days=400))
    for days in (250, 100):
        await shop.order(loyal, 1, at=now - timedelta(days=days))
    await _expire(shop, now)
    assert (await shop.balance(loyal), await shop.balance(lost)) == (102, 0)
    await _expire(shop, now + timedelta(days=90))
    assert await shop.balance(loyal) == 0


async def test_a_spending_that_nobody_has_derived_yet_saves_the_rest(shop: Any) -> None:
    await shop.programme(LONG_AGO, currencies=SLIDING)
    via, now = uuid7(), utc_now()
    await shop.order(via, 100, at=now - timedelta(days=190))
    await _spend(shop, via, 10, now - timedelta(days=20))
    await _expire(shop, now)
    assert await shop.balance(via) == 90


async def test_after_a_merge_what_either_side_did_counts_and_an_undo_takes_it_back(shop: Any) -> None:
    await shop.programme(LONG_AGO, currencies=SLIDING)
    one, other, now = uuid7(), uuid7(), utc_now()
    await shop.order(one, 100, at=now - timedelta(days=190))
    await shop.order(other, 5, at=now - timedelta(days=100))
    await shop.assign(one, one, other)
    await shop.derive()
    await _expire(shop, now)
    assert await shop.balance(one) == 105
    await shop.assign(other, other)
    await shop.derive()
    await _expire(shop, now)
    assert (await shop.balance(one), await shop.balance(other)) == (0, 5)


async def _announced(shop: Any) -> list[tuple[int, int]]:
    return [(fact["points"], fact["days"]) for fact in await shop.said(ExpiryAnnounced)]


async def test_each_notice_is_given_once_and_for_what_is_left(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=1)
    via, now = uuid7(), utc_now()
    await shop.order(via, 100, at=now)
    await shop.order(via, 11, at=now - timedelta(hours=1))
    await shop.derive()
    ends = add_months(now, 1)
    for at in (now - timedelta(days=1), ends - timedelta(days=31)):
        await announce(shop.session, at)
    assert await _announced(shop) == []
    for hours in (2, 3):
        await announce(shop.session, ends - timedelta(days=30) + timedelta(hours=hours))
    assert sum(points for points, days in await _announced(shop) if days == 30) == 111
    await _spend(shop, via, 60, now + timedelta(hours=2))
    await shop.derive()
    for hours in (2, 3):
        await announce(shop.session, ends - timedelta(days=7) + timedelta(hours=hours))
    assert sum(points for points, days in await _announced(shop) if days == 7) == 51


async def test_after_downtime_only_the_nearest_notice_and_none_for_what_is_gone(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=1)
    via, now = uuid7(), utc_now()
    await shop.order(via, 100, at=now)
    ends = add_months(now, 1)
    await announce(shop.session, ends - timedelta(days=2))
    await announce(shop.session, ends - timedelta(days=1))
    assert await _announced(shop) == [(100, 7)]
    await announce(shop.session, ends + timedelta(days=1))
    assert await _announced(shop) == [(100, 7)]


async def test_a_notice_waits_until_it_is_known_whose_points_they_are(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=1)
    via, now = uuid7(), utc_now()
    await shop.order(via, 100, at=now)
    await shop.session.execute(text("DELETE FROM identity_map"))
    soon = add_months(now, 1) - timedelta(days=2)
    assert await announce(shop.session, soon) == 0
    await shop.assign(via, via)
    assert await announce(shop.session, soon) == 1
    assert await _announced(shop) == [(100, 7)]


async def test_a_programme_may_give_no_notice(shop: Any) -> None:
    await shop.programme(LONG_AGO, expiry_months=1, expiry_notices=[])
    via, now = uuid7(), utc_now()
    await shop.order(via, 100, at=now)
    assert await announce(shop.session, add_months(now, 1) - timedelta(days=2)) == 0
