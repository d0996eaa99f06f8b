"""What follows from what was heard: the same whatever the sequence, however often it was told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.loyalty.memberships.course import Course, Heard, follow
from perennial.loyalty.memberships.definition import Plan, later
from perennial.loyalty.memberships.refunds import quote

ZONE = ZoneInfo("Asia/Shanghai")
VIA = UUID(int=7)
START = datetime(2026, 1, 31, 4, tzinfo=UTC)  # noon in Shanghai
PLAN = Plan.model_validate(
    {"code": "plus", "name": {"en": "Plus"}, "price": 30, "currency": "CNY", "period": "P1M", "trial": "P7D",
     "grace_days": 3}
)  # fmt: skip
numbers = count(1)


def heard(kind: str, at: datetime, payment: str = "", **more: Any) -> Heard:
    return Heard(UUID(int=next(numbers)), "plus", VIA, at, kind, "shop", payment, "CNY", **more)  # type: ignore[arg-type]


def course(*told: Heard, plan: Plan = PLAN) -> Course:
    return follow("plus", told, lambda _: plan, ZONE)


def days(count: float) -> datetime:
    return START + timedelta(days=count)


def local(month: int, day: int, hour: int = 12) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=ZONE).astimezone(UTC)


def test_months_are_counted_from_the_first_day_and_do_not_drift() -> None:
    found = course(*[heard("paid", local(month, 20), str(month)) for month in (2, 3)], heard("paid", START, "1")).run
    assert found is not None
    assert (found.since, found.until) == (START, local(4, 30))
    assert [paid.end for paid in found.payments] == [local(2, 28), local(3, 31), local(4, 30)]


def test_a_trial_a_payment_within_it_and_its_end() -> None:
    tried = course(heard("trial", START))
    assert tried.run
    assert (tried.run.status(days(6)), tried.run.status(days(8))) == ("trial", "grace")
    assert tried.run.status(days(10)) == "lapsed"
    paid = course(heard("paid", days(2), "1"), heard("trial", START)).run
    assert paid
    assert (paid.status(days(6)), paid.status(days(7)), paid.until) == ("trial", "active", local(3, 7))
    assert course(heard("trial", START), heard("paid", days(-90), "1")).run.since == days(-90)  # type: ignore[union-attr]


@pytest.mark.parametrize(("at", "status"), [(27, "active"), (28.5, "grace"), (30.9, "grace"), (31, "lapsed")])
def test_grace_comes_before_it_lapses(at: float, status: str) -> None:
    run = course(heard("paid", START, "1"), heard("failed", days(27))).run
    assert run
    assert run.status(days(at)) == status
    assert run.failed_at == days(27)


def test_a_late_payment_in_grace_goes_on_where_it_ended_and_after_it_begins_anew() -> None:
    run = course(heard("paid", START, "1"), heard("paid", days(29), "2")).run
    assert run
    assert (run.since, run.until, run.failed_at) == (START, local(3, 31), None)
    again = course(heard("paid", START, "1"), heard("paid", days(40), "2"))
    assert len(again.runs) == 2
    assert again.run
    assert again.run.since == days(40)
    assert [again.covers(days(day)) for day in (-1, 0, 30, 32, 41)] == [False, True, True, False, True]


def test_cancelled_it_holds_to_the_end_of_what_is_paid_without_grace() -> None:
    run = course(heard("paid", START, "1"), heard("cancelled", days(5))).run
    assert run
    assert (run.status(days(20)), run.status(days(28.1)), run.ends_at) == ("active", "cancelled", run.until)
    resumed = course(heard("paid", START, "1"), heard("cancelled", days(5)), heard("paid", days(6), "2")).run
    assert resumed
    assert resumed.cancelled_at is None
    assert resumed.until == local(3, 31)


def test_ended_at_once_the_days_that_are_left_are_due() -> None:
    told = [heard("paid", START, "1", amount=Decimal(28)), heard("cancelled", days(7), immediate=True)]
    ended = course(*told)
    assert ended.run
    assert (ended.run.status(days(7)), ended.refund_due) == ("cancelled", Decimal("20.00"))
    assert course(*told, heard("refunded", days(8), "1", amount=Decimal(20))).refund_due == 0
    kept = PLAN.model_copy(update={"refund": "none"})
    assert course(*told, plan=kept).refund_due == 0


def test_a_payment_that_goes_back_whole_takes_its_time_with_it() -> None:
    first, second, back = heard("paid", START, "1"), heard("paid", days(1), "2"), heard("refunded", days(3), "2")
    ahead = course(first, second, back).run
    assert ahead
    assert (ahead.status(days(4)), ahead.until) == ("active", local(2, 28))
    now = course(first, heard("refunded", days(3), "1")).run
    assert now
    assert (now.status(days(4)), now.ended_at) == ("refunded", days(3))
    part = course(first, heard("refunded", days(3), "1", amount=Decimal(5)))
    assert part.run
    assert part.run.status(days(4)) == "active"
    assert part.payments["shop", "1"].refunded == 5
    over = course(first, heard("refunded", days(60), "1")).run
    assert over
    assert over.status(days(61)) == "lapsed"


def test_of_an_order_it_was_a_part_of_a_part_says_nothing() -> None:
    paid = heard("paid", START, "o-1", order_amount=Decimal(130), amount=Decimal(30))
    backs = [
        heard("refunded", days(day), "o-1", amount=Decimal(65), order_amount=Decimal(65), refund=str(day))
        for day in (1, 2)
    ]
    one, both = course(paid, backs[0]).run, course(paid, *backs).run
    assert one
    assert both
    assert (one.status(days(3)), both.status(days(3)), both.ended_at) == ("active", "refunded", days(2))


def test_what_changes_nothing_says_why() -> None:
    stray, unknown = heard("cancelled", START), heard("refunded", START, "9")
    assert set(course(stray, unknown).ignored.values()) == {
        "there was no membership then", "there was no such payment then",
    }  # fmt: skip


kinds = st.sampled_from(["paid", "trial", "failed", "cancelled", "refunded"])
told = st.lists(
    st.tuples(kinds, st.integers(0, 90), st.sampled_from("1234"), st.booleans(), st.none() | st.integers(0, 40)),
    max_size=10,
)


@settings(max_examples=200, deadline=None)
@given(told, st.randoms(use_true_random=False))
def test_neither_sequence_nor_repetition_matters(events: list[tuple[Any, ...]], random: Any) -> None:
    facts = [
        heard(kind, days(day), payment, immediate=at_once, amount=None if amount is None else Decimal(amount))
        for kind, day, payment, at_once, amount in events
    ]
    again = facts + [fact for fact in facts if fact.kind == "paid"]
    random.shuffle(again)
    found, shuffled = course(*facts), course(*again)
    assert shuffled == found
    for run in found.runs:
        assert run.since <= run.ends_at
        assert all(paid.start <= paid.end for paid in run.payments)
        assert run.next_change(days(500)) is None
    for paid in found.payments.values():
        assert 0 <= paid.refunded <= paid.amount
    assert found.refund_due >= 0


@given(
    st.decimals(0, 10_000, places=2), st.integers(1, 400), st.integers(-5, 420), st.sampled_from(["USD", "JPY", "KWD"])
)
def test_refunds_shrink_by_the_day_and_never_exceed_what_was_paid(
    amount: Decimal, length: int, day: int, money: str
) -> None:
    found = [quote(amount, money, START, days(length), days(at), ZONE) for at in (day, day + 1)]
    assert found[0].amount >= found[1].amount >= 0
    assert found[0].amount <= amount + Decimal("0.5")
    assert found[0].days == (length if day < 0 else max(0, length - day - 1))
    assert found[0].amount.as_tuple().exponent == {"USD": -2, "JPY": 0, "KWD": -3}[money]


@pytest.mark.parametrize(
    ("period", "times", "expected"),
    [
        ("P1M", 1, datetime(2026, 2, 28, 4, tzinfo=UTC)),
        ("P1Y", 2, datetime(2028, 1, 31, 4, tzinfo=UTC)),
        ("P2W", 1, datetime(2026, 2, 14, 4, tzinfo=UTC)),
        ("P30D", 2, datetime(2026, 4, 1, 4, tzinfo=UTC)),
    ],
    ids=["month", "years", "weeks", "days"],
)
def test_periods(period: str, times: int, expected: datetime) -> None:
    assert later(START, period, times, ZONE) == expected
