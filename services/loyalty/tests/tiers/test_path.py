"""The way over the ladder, from facts alone, against the plainest words; and each policy as a story."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perennial.loyalty.programme.definition import Definition
from perennial.loyalty.tiers.ladder import Ladder, Sums
from perennial.loyalty.tiers.path import Fact, walk
from perennial.loyalty.tiers.position import Override, stand

BEGIN = datetime(2025, 12, 20, 12, tzinfo=UTC)
NEEDS = ((100, None, None), (200, 15000, None), (400, 40000, 6))
TICK = timedelta(hours=12)


def ladder(plain: Any) -> Ladder:
    return Ladder(Definition.model_validate({"earn_rules": [], **plain.definition()}), UTC)


def facts(*told: tuple[int, int]) -> list[Fact]:
    return [Fact(BEGIN + timedelta(days=day), Sums(points)) for day, points in told]


def course(plain: Any, *told: tuple[int, int]) -> list[tuple[int, int, str]]:
    """The steps as (days since the beginning, tier, why)."""
    return [((step.at - BEGIN).days, step.tier, step.why) for step in walk(ladder(plain), facts(*told))]


def test_rolling_down_to_what_is_left_when_the_window_has_passed(plain: Any) -> None:
    assert course(plain(NEEDS), (0, 150), (2, 300), (11, 100)) == [
        (0, 1, "reached"),
        (2, 3, "reached"),
        (10, 2, "period_ended"),  # 300 are left of 450
        (11, 3, "reached"),
        (12, 1, "period_ended"),
        (21, 0, "period_ended"),
    ]


def test_one_step_is_held_for_a_window_each(plain: Any) -> None:
    assert course(plain(NEEDS, down="one_step"), (0, 400)) == [
        (0, 3, "reached"),
        (10, 2, "period_ended"),
        (20, 1, "period_ended"),
        (30, 0, "period_ended"),
    ]


def test_a_soft_landing_holds_once_whoever_came_near(plain: Any) -> None:
    assert course(plain(NEEDS, down="soft_landing"), (0, 250), (9, 200), (12, 1)) == [
        (0, 2, "reached"),
        (9, 3, "reached"),
        (10, 3, "held"),  # 200 of 400 are near enough
        (20, 2, "period_ended"),
        (30, 1, "period_ended"),
        (40, 0, "period_ended"),
    ]


def test_grace_keeps_a_tier_until_it_is_reached_again_or_not(plain: Any) -> None:
    assert course(plain(NEEDS, grace=3), (0, 200), (12, 250)) == [
        (0, 2, "reached"),
        (10, 2, "grace"),
        (12, 2, "kept"),
        (22, 2, "grace"),
        (25, 0, "period_ended"),
    ]


def test_calendar_tiers_last_to_the_end_of_the_next_period(plain: Any) -> None:
    assert course(plain(NEEDS, period="calendar", calendar="month"), (0, 250), (20, 100)) == [
        (0, 2, "reached"),
        (11, 2, "kept"),  # December's 250
        (42, 1, "period_ended"),  # January's 100, asked for in February
        (70, 0, "period_ended"),
    ]


def test_in_the_grace_of_a_calendar_period_the_ended_one_still_counts(plain: Any) -> None:
    assert course(plain(NEEDS, period="calendar", calendar="month", grace=5), (0, 250), (20, 150), (44, 60)) == [
        (0, 2, "reached"),
        (11, 2, "kept"),
        (42, 2, "grace"),
        (44, 2, "kept"),
        (70, 2, "grace"),
        (75, 0, "period_ended"),
    ]


def test_periods_follow_the_zone_and_the_first_month(plain: Any) -> None:
    shanghai = ZoneInfo("Asia/Shanghai")
    rules = Definition.model_validate(
        {"earn_rules": [], **plain(NEEDS, period="calendar", calendar="year").definition()}
    )
    tiering = rules.tiering.model_copy(update={"first_month": 4})
    start, end = tiering.bounds(datetime(2026, 3, 31, 16, tzinfo=UTC), shanghai)  # midnight there
    assert (start, end) == (datetime(2026, 3, 31, 16, tzinfo=UTC), datetime(2027, 3, 31, 16, tzinfo=UTC))
    assert tiering.bounds(start - timedelta(microseconds=1), shanghai)[1] == start


def override(tier: str, days: int, **more: Any) -> Override:
    return Override(UUID(int=days), tier, more.get("exact", False), BEGIN, BEGIN + timedelta(days=days))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], (1, 0, 10)),
        ([override("tier 3", 5)], (3, 1, 5)),
        ([override("tier 3", 20)], (3, 0, 20)),
        ([override("tier 0", 5)], (1, 0, 10)),  # at least: what was earned is more
        ([override("tier 0", 5, exact=True)], (0, 1, 5)),
        ([override("unknown", 5)], (1, 0, 10)),
        ([override("tier 2", 4), override("tier 3", 6)], (3, 1, 6)),  # the newest decides
    ],
    ids=["none", "higher", "longer", "lower", "exactly", "unknown", "two"],
)
def test_what_staff_said_holds_until_then(plain: Any, said: list[Override], expected: tuple[int, int, int]) -> None:
    steps = walk(ladder(plain(NEEDS)), facts((0, 150)))
    found = stand(ladder(plain(NEEDS)), steps, said, BEGIN, BEGIN + timedelta(days=1))
    assert found.projected_at
    assert (found.tier, found.projected, (found.projected_at - BEGIN).days) == expected


def test_the_clock_takes_nothing_before_the_pipeline_has_passed(plain: Any) -> None:
    steps, later = walk(ladder(plain(NEEDS)), facts((0, 150))), BEGIN + timedelta(days=12)
    waiting = stand(ladder(plain(NEEDS)), steps, [], BEGIN + timedelta(days=9), later)
    assert (waiting.tier, waiting.due) == (1, BEGIN + timedelta(days=10))
    passed = stand(ladder(plain(NEEDS)), steps, [], BEGIN + timedelta(days=10), later)
    assert (passed.tier, passed.due) == (0, None)


amount = st.integers(0, 300)
told = st.tuples(st.integers(0, 160), amount, st.integers(0, 20000), st.integers(0, 2))
plains = st.fixed_dictionaries(
    {
        "period": st.sampled_from(["rolling", "calendar"]),
        "days": st.sampled_from([5, 10, 30]),
        "calendar": st.sampled_from(["month", "quarter"]),
        "down": st.sampled_from(["balance", "one_step", "soft_landing"]),
        "near": st.sampled_from([30, 50, 80]),
        "grace": st.sampled_from([0, 0, 2, 5, 20]),
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=plains, days=st.lists(told, max_size=10), now=st.integers(0, 400))
def test_the_walk_equals_the_plainest_words(
    plain: Any, told_plainly: Any, made: dict[str, Any], days: list[tuple[int, ...]], now: int
) -> None:
    history = [(BEGIN + timedelta(days=day), (points, cents, orders)) for day, points, cents, orders in days]
    rules, moment = plain(NEEDS, **made), BEGIN + now * TICK
    steps = walk(ladder(rules), [Fact(at, Sums(*what)) for at, what in sorted(history)])
    found = stand(ladder(rules), steps, [], moment, moment)
    seen = [fact for fact in history if fact[0] <= moment]
    assert found.tier == told_plainly(rules, seen, moment)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    if len(seen) < len(history):
        return
    if found.projected_at is None:
        assert found.tier == told_plainly(rules, history, moment + timedelta(days=200))
    else:
        assert found.projected == told_plainly(rules, history, found.projected_at)
        assert found.tier == told_plainly(rules, history, max(found.projected_at - TICK, moment))
