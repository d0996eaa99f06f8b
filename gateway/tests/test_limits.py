"""Rate limits: what is promised to a client holds exactly, and memory does not grow."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.common.problems import respond
from perennial.gateway import limits
from perennial.gateway.limits import NANOSECONDS, Limiter, Policy, Taken

policies = st.builds(Policy, st.just("p"), st.integers(1, 5000), st.integers(1, 3600))
steps = st.lists(st.tuples(st.integers(0, 30 * NANOSECONDS), st.integers(1, 40)), max_size=60)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000 * NANOSECONDS

    def __call__(self) -> int:
        return self.now


def limiter(**sizes: int) -> tuple[Limiter, Clock]:
    clock = Clock()
    return Limiter(**sizes, clock=clock), clock


def test_all_at_once_and_then_one_by_one() -> None:
    some, clock = limiter()
    policy = Policy("default", 3, 60)
    assert [some.take("a", policy) for _ in range(4)] == [
        Taken(allowed=True, remaining=2, reset=20),
        Taken(allowed=True, remaining=1, reset=40),
        Taken(allowed=True, remaining=0, reset=60),
        Taken(allowed=False, remaining=0, reset=20),
    ]
    assert some.take("b", policy).allowed
    clock.now += 20 * NANOSECONDS
    assert some.take("a", policy) == Taken(allowed=True, remaining=0, reset=60)


@given(policies, steps)
def test_never_more_than_the_quota_and_what_grew_back(policy: Policy, steps: list[tuple[int, int]]) -> None:
    some, clock = limiter()
    start, spent = clock.now, 0
    for wait, cost in steps:
        clock.now += wait
        taken = some.take("a", policy, cost)
        if taken.allowed:
            if cost <= policy.quota:
                grown = (clock.now - start) // policy.interval
                assert spent + cost <= policy.quota + grown
            spent += cost


@given(policies, steps)
def test_who_waits_as_told_is_let_in(policy: Policy, steps: list[tuple[int, int]]) -> None:
    some, clock = limiter()
    for wait, cost in steps:
        clock.now += wait
        taken = some.take("a", policy, cost)
        if not taken.allowed:
            clock.now += taken.reset * NANOSECONDS
            assert some.take("a", policy, cost).allowed


@given(policies, st.integers(1, 40))
def test_what_remains_can_be_taken_and_no_more(policy: Policy, cost: int) -> None:
    some, _ = limiter()
    left = some.take("a", policy, cost).remaining
    assert not left or some.take("a", policy, left).allowed
    assert not some.take("a", policy).allowed


def test_a_cost_above_the_quota_is_slowed_down_and_not_impossible() -> None:
    some, clock = limiter()
    policy = Policy("events", 100, 10)
    assert some.take("a", policy, 250) == Taken(allowed=True, remaining=0, reset=25)
    assert some.take("a", policy) == Taken(allowed=False, remaining=0, reset=16)
    clock.now += 25 * NANOSECONDS
    assert some.take("a", policy, 250).allowed


def test_policies_of_one_key_are_apart() -> None:
    some, _ = limiter()
    assert some.take("a", Policy("one", 1, 60)).allowed
    assert some.take("a", Policy("two", 1, 60)).allowed
    assert not some.take("a", Policy("one", 1, 60)).allowed


def test_any_number_of_keys_takes_no_more_memory_than_some_thousand() -> None:
    some, clock = limiter(keys=1000, shared=256)
    policy = Policy("p", 60, 60)
    for number in range(100_000):
        clock.now += 1000
        some.take(f"10.0.{number}", policy)
    assert len(some) == 1000
    assert sys.getsizeof(some._full_at) < 200_000


def test_buckets_that_filled_up_again_are_forgotten() -> None:
    some, clock = limiter()
    policy = Policy("p", 60, 60)
    for number in range(1000):
        some.take(str(number), policy)
    clock.now += NANOSECONDS
    for number in range(400):
        some.take(f"later {number}", policy)
    assert len(some) <= 400 + limits.LOOKS


def test_a_flood_of_new_keys_does_not_reset_an_old_one() -> None:
    some, clock = limiter(keys=1000, shared=256)
    policy = Policy("login", 10, 600)
    while some.take("attacker", policy).allowed:
        pass
    for number in range(50_000):
        clock.now += 1000
        some.take(f"decoy {number}", policy)
    assert not some.take("attacker", policy).allowed


def test_newcomers_in_a_flood_are_limited_together() -> None:
    some, _ = limiter(keys=10, shared=4)
    policy = Policy("p", 5, 60)
    allowed = sum(some.take(str(number), policy).allowed for number in range(1000))
    assert 10 < allowed <= 10 + 4 * 5


@pytest.mark.parametrize(("taken", "wait"), [(Taken(False, 0, 31), "31"), (Taken(False, 3, 0), "1")])
def test_the_answer(taken: Taken, wait: str) -> None:
    policy = Policy("default", 1000, 60)
    problem = limits.refused(policy, taken)
    answer = respond(problem)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == wait
    assert answer.headers["ratelimit-policy"] == '"default";q=1000;w=60'
    assert answer.headers["ratelimit"] == f'"default";r={taken.remaining};t={taken.reset}'
    body = bytes(answer.body).decode()
    assert '"violated-policies":["default"]' in body
    assert f'"type":"{limits.QUOTA_EXCEEDED}"' in body
