"""Closures, flips, explanations and footprints on views made by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from perennial.common import rules
from perennial.common.rules import Occurrence, View

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WHO = UUID("0190d4c2-7d1c-7b51-9a2e-000000000001")
SEGMENT = UUID("0190d4c2-7d1c-7b51-9a2e-111111111111")


def ordered(*ago: float, total: object = 10) -> View:
    found = sorted((Occurrence(NOW - days * DAY, {"total": total}) for days in ago), key=lambda item: item.at)
    return View(WHO, events={"Order": found})


def flip(document: dict[str, Any], view: View) -> float | None:
    at = rules.next_flip(rules.parse(document), view, NOW)
    return None if at is None else (at - NOW) / DAY


@pytest.mark.parametrize(
    ("document", "ago", "days"),
    [
        ({"event": "Order"}, [3], None),
        ({"event": "Order"}, [-3], 3),
        ({"event": "Order", "within": "P7D"}, [3], 4),
        ({"event": "Order", "within": "P7D"}, [3, 1], 6),
        ({"event": "Order", "within": "P7D", "count": {"gte": 2}}, [3, 2, 1], 5),
        ({"event": "Order", "within": "P7D", "count": {"eq": 0}}, [8], None),
        ({"event": "Order", "within": "P7D", "count": {"eq": 0}}, [1], 6),
        ({"event": "Order", "last": {"before": "P60D"}}, [90, 50], 10),
        ({"event": "Order", "first": {"within_last": "P60D"}}, [50], 10),
        ({"event": "Order", "last": {"after": "2026-01-01"}}, [50], None),
        ({"all": [{"event": "Order", "within": "P7D"}, {"trait": "plan", "is": "pro"}]}, [3], None),
        ({"any": [{"event": "Order", "within": "P7D"}, {"event": "Order", "within": "P9D"}]}, [3], 6),
    ],
    ids=str,
)
def test_the_clock_changes_an_answer_when_it_says(
    document: dict[str, Any], ago: list[float], days: float | None
) -> None:
    assert flip(document, ordered(*ago)) == days


@pytest.mark.parametrize(
    ("condition", "ahead", "days"),
    [
        ({"within_next": "P2D"}, 5, 3),
        ({"within_next": "P2D"}, 1, 1),
        ({"within_next": "P2D"}, -1, None),
        ({"within_last": "P2D"}, 5, 5),
        ({"within_last": "P2D"}, -1, 1),
        ({"before": "P2D"}, 1, 3),
        ({"after": "P2D"}, 1, 3),
        ({"before": "2026-06-05"}, 1, None),
    ],
    ids=str,
)
def test_a_date_comes_by_itself(condition: dict[str, Any], ahead: float, days: float | None) -> None:
    at = (NOW + ahead * DAY).isoformat()
    assert flip({"trait": "renewsAt", **condition}, View(WHO, {"renews_at": at})) == days
    where = [{"property": "due", **condition}]
    view = View(WHO, events={"Order": [Occurrence(NOW - DAY, {"due": at})]})
    assert flip({"event": "Order", "where": where}, view) == days


def test_a_very_long_history_is_looked_through_in_portions() -> None:
    view = ordered(*(n / 100 for n in range(1, 501)))
    rule = rules.parse({"event": "Order", "within": "P7D"})
    now, asked = NOW, 0
    while (at := rules.next_flip(rule, view, now)) and rules.compile(rule)(view, at):
        assert at > now
        now, asked = at, asked + 1
    assert at == NOW - DAY / 100 + 7 * DAY
    assert asked < 500 / 30


def test_random_shares_are_stable_even_and_independent() -> None:
    ids = [UUID(int=n) for n in range(10_000)]
    chosen = {salt: {who for who in ids if holds(View(who), NOW)} for salt, holds in
              ((salt, rules.compile(rules.parse({"random": {"salt": salt, "lt": 20}}))) for salt in "ab")}  # fmt: skip
    assert 1800 < len(chosen["a"]) < 2200
    assert 300 < len(chosen["a"] & chosen["b"]) < 500


def test_values_made_in_python_are_read_alike() -> None:
    view = View(
        WHO,
        {"due": NOW - DAY, "ratio": 0.1, "tags": ("a", "b"), "nan": float("nan"), "naive": NOW.replace(tzinfo=None)},
    )
    for document, answer in [
        ({"trait": "due", "within_last": "P2D"}, True),
        ({"trait": "ratio", "is": 0.1}, True),
        ({"trait": "tags", "contains": "b"}, True),
        ({"trait": "tags[]", "is": "a"}, True),
        ({"trait": "nan", "lt": 1}, False),
        ({"trait": "naive", "before": "P0D"}, False),
    ]:
        assert rules.compile(rules.parse(document))(view, NOW) is answer, document


def test_an_explanation_shows_each_leaf_with_what_it_saw() -> None:
    document = {
        "all": [
            {"trait": "plan", "is": "pro"},
            {"not": {"segment": str(SEGMENT)}},
            {"event": "Order", "within": "P7D", "sum": {"property": "total", "gte": 25}},
        ]
    }
    view = View(WHO, {"plan": "free"}, ordered(*range(1, 13)).events, {SEGMENT})
    top = rules.explain(rules.parse(document), view, NOW)
    assert (top.holds, top.pointer, [part.pointer for part in top.parts]) == (False, "", ["/all/0", "/all/1", "/all/2"])
    plan, negation, spent = top.parts
    assert (plan.holds, plan.value, plan.phrase) == (False, "free", "plan is “pro”")
    assert (negation.holds, negation.parts[0].pointer, negation.parts[0].value) == (False, "/all/1/not", True)
    assert (spent.holds, spent.value, spent.next_change) == (True, Decimal(60), NOW + 4 * DAY)
    assert [item.at for item in spent.evidence] == [NOW - n * DAY for n in range(1, 7)]


def test_an_explanation_of_nothing() -> None:
    document = {
        "any": [{"event": "Order", "average": {"property": "total", "gt": 1}}, {"random": {"salt": "x", "lt": 0}}]
    }
    average, share = rules.explain(rules.parse(document), View(uuid4()), NOW, language="zh").parts
    assert (average.holds, average.value, average.evidence) == (False, None, ())
    assert share.value in range(100)


def test_a_footprint_is_all_that_is_read() -> None:
    reads = rules.footprint(
        rules.parse({
            "any": [
                {"trait": "createdAt", "before": "P1D"},
                {"not": {"trait": "address.city", "is": "Paris"}},
                {"event": "Order", "within": "P30D"},
                {"event": "Page", "within": "P7D"},
                {"segment": str(SEGMENT)},
            ]
        })
    )  # fmt: skip
    assert reads.traits == {"created_at", "address"}
    assert reads.events == {"Order", "Page"}
    assert reads.segments == {SEGMENT}
    assert reads.look_back == 30 * DAY
    assert rules.footprint(rules.parse({"everyone": True})).look_back == timedelta()
    assert (reads | rules.footprint(rules.parse({"event": "Old"}))).look_back is None
