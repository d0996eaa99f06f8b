"""A rule that is not asked would not have held, nor will it by the clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.common import rules
from perennial.common.ids import uuid7
from perennial.common.rules import Occurrence, View
from perennial.profile.tags.definitions import presets
from perennial.profile.tags.definitions.anchors import anchors, index

NOW = datetime(2026, 5, 1, tzinfo=UTC)
WORDS = ["a", "b", "c"]
bounds = st.dictionaries(st.sampled_from(["eq", "gt", "gte", "lt", "lte"]), st.integers(-1, 2), min_size=1, max_size=2)
counts = st.dictionaries(st.sampled_from(["eq", "gt", "gte", "lt", "lte"]), st.integers(0, 2), min_size=1, max_size=2)
traits = st.builds(
    lambda name, operator: {"trait": name, **operator},
    st.sampled_from(WORDS),
    st.sampled_from(
        [
            {"is": 1}, {"is_not": 1}, {"in": [1]}, {"not_in": [1]}, {"contains": "x"}, {"not_contains": "x"},
            {"exists": True}, {"exists": False}, {"lt": 1}, {"within_last": "P3D"}, {"before": "P3D"},
        ]
    ),
)  # fmt: skip
events = st.builds(
    lambda name, measure: {"event": name, **measure},
    st.sampled_from(WORDS),
    st.one_of(
        st.just({}), st.just({"within": "P5D"}), st.just({"last": {"within_last": "P2D"}}),
        counts.map(lambda found: {"count": found}),
        counts.map(lambda found: {"distinct": {"property": "n", **found}}),
        st.just({"within": {"last": "day"}}), st.just({"not_followed_by": {"event": "c", "within": "P1D"}}),
        st.tuples(st.sampled_from(["sum", "min", "max", "average"]), bounds).map(
            lambda said: {said[0]: {"property": "n", **said[1]}}
        ),
    ),
)  # fmt: skip
documents: st.SearchStrategy[Any] = st.recursive(
    traits | events | st.just({"everyone": True}),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=5,
)
values = st.sampled_from([None, 1, "x", 0, "2026-04-29", "2026-05-02"])
happened = st.builds(
    lambda day, n: Occurrence(NOW + timedelta(days=day), {"n": n}), st.integers(-6, 3), st.integers(-1, 2)
)
views = st.builds(
    lambda said, did: View(uuid7(), said, {name: sorted(found, key=lambda one: one.at) for name, found in did.items()}),
    st.dictionaries(st.sampled_from(WORDS), values, max_size=3),
    st.dictionaries(st.sampled_from(WORDS), st.lists(happened, min_size=1, max_size=3), max_size=3),
)


@settings(deadline=None, max_examples=400)
@given(document=documents, view=views)
def test_what_is_not_asked_would_not_hold(document: Any, view: View) -> None:
    rule = rules.parse(document)
    if not index([("it", rule)]).touched(view):
        for days in range(-8, 9):
            assert not rules.compile(rule)(view, NOW + timedelta(days=days))
        assert rules.next_flip(rule, view, NOW) is None


def test_most_of_the_catalogue_is_not_asked_about_a_stranger() -> None:
    known = [(tag.key, rules.parse(tag.rule)) for tag in presets.tags() if tag.rule is not None]
    stranger = View(
        uuid7(), {"orders": 0, "gmv": "0.00", "sessions": 1, "dwell_minutes": 0, "tags": [], "last_seen": ""}
    )
    assert len(index(known).touched(stranger)) < len(known) / 3
    assert anchors(rules.parse({"not": {"event": "a"}})) is None
