"""What is said of rules fits into facts, whatever it is."""

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.common.contracts.base import RuleState
from perennial.common.rule_states import MOST, MOST_BYTES, parts


def state(name: str = "x", segments: int = 0) -> RuleState:
    asked = [UUID(int=number) for number in range(segments)]
    return RuleState(kind="journey", id="1", name=name, state="live", segments=asked, version=1)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.text(max_size=200), st.sampled_from([0, 1, 200, 2000, 8000])), max_size=300))
def test_every_fact_is_bounded_and_nothing_is_left_out(rules: list[tuple[str, int]]) -> None:
    said = [state(*rule) for rule in rules]
    found = list(parts(said))
    assert [one for part in found for one in part] == said
    assert all(len(part) <= MOST for part in found)
    large = [part for part in found if sum(len(one.model_dump_json().encode()) for one in part) > MOST_BYTES]
    assert all(len(part) == 1 for part in large)


def test_many_small_ones_share_facts_and_many_large_ones_do_not() -> None:
    assert [len(part) for part in parts([state()] * 450)] == [200, 200, 50]
    assert [len(part) for part in parts([state(segments=4000)] * 4)] == [1, 1, 1, 1]
    assert [len(part) for part in parts([state("签" * 200, 2000)] * 6)] == [3, 3]
    assert list(parts([])) == []
