"""A rule against a catalogue: what is unknown or of another type is refused with its place."""

from typing import Any

import pytest

from perennial.common import rules
from perennial.common.rules import Fields, RuleError

FIELDS = Fields(
    traits={
        "plan": "string", "age": "number", "vip": "boolean", "created_at": "datetime", "home": "geo", "cars": "list",
        "address": "object", "tier": "enum", "anything": None, "balance": "money",
    },
    events={
        "Order Completed": {"total": "number", "city": "string", "products": "list", "shipping.city": "string"},
        "Page": None,
    },
)  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        {"trait": "plan", "in": ["a", "b"]},
        {"trait": "createdAt", "within": {"this": "month"}},
        {"trait": "createdAt", "between": ["2026-01-01", "2026-02-01"]},
        {"trait": "age", "between": [18, 30]},
        {"trait": "age", "is": "18"},
        {"trait": "vip", "is": True},
        {"trait": "home", "near": {"latitude": 1, "longitude": 1, "km": 1}},
        {"trait": "home.lat", "gt": 1},
        {"trait": "address.city", "is": "Rome"},
        {"trait": "cars[].make", "is": "BYD"},
        {"trait": "anything", "within_last": "P1D"},
        {"trait": "balance", "exists": True},
        {"tag": "vip"},
        {"stage": "loyal"},
        {"trait": "timezone", "exists": True},
        {"any_of": "cars", "where": [{"property": "x", "gt": 1}]},
        {"event": "Page", "where": [{"property": "path", "is": "/"}], "within": "P1D"},
        {"event": "Order Completed", "sum": {"property": "total", "gt": 1}, "where": [{"property": "city", "is": "x"}]},
        {"event": "Order Completed", "where": [{"property": "shipping.city", "is": "Rome"}]},
        {"event": "Order Completed", "distinct": {"property": "city", "gt": 1}},
        {"segment": "0190d4c2-7d1c-7b51-9a2e-111111111111"},
    ],
    ids=str,
)
def test_what_there_is_can_be_asked_for(document: dict[str, Any]) -> None:
    rules.check(rules.parse(document), FIELDS)
    rules.check(rules.parse(document), Fields())


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        ({"all": [{"trait": "paln", "is": "x"}]}, "/all/0/trait", "there is no trait paln; did you mean plan?"),
        ({"not": {"trait": "Zzz", "exists": True}}, "/not/trait", "there is no trait zzz"),
        ({"trait": "plan", "gt": 5}, "/gt", "does not go with the type string; these do: contains, "),
        ({"trait": "plan", "is": 5}, "/is", "must be of type string"),
        ({"trait": "age", "is": "old"}, "/is", "must be of type number"),
        ({"trait": "age", "in": [1, True]}, "/in", "must be of type number"),
        ({"trait": "age", "between": ["2026-01-01", "2026-02-01"]}, "/between", "must be of type number"),
        ({"trait": "age", "before": "P1D"}, "/before", "does not go with the type number"),
        ({"trait": "age.years", "gt": 1}, "/trait", "nothing inside the trait age"),
        ({"trait": "vip", "is": "yes"}, "/is", "must be of type boolean"),
        ({"trait": "created_at", "between": [1, 2]}, "/between", "must be of type datetime"),
        ({"trait": "home", "is": "x"}, "/is", "these do: exists, near"),
        ({"trait": "cars", "is": "BYD"}, "/is", "these do: contains, exists, not_contains"),
        ({"any_of": "cats", "where": [{"property": "x", "is": 1}]}, "/any_of", "did you mean cars?"),
        ({"none_of": "plan", "where": [{"property": "x", "is": 1}]}, "/none_of", "nothing inside the trait plan"),
        ({"event": "order completed"}, "/event", "did you mean Order Completed?"),
        (
            {"any": [{"event": "Order Completed", "where": [{"property": "totl", "gt": 1}]}]},
            "/any/0/where/0/property",
            "there is no property totl; did you mean total?",
        ),
        ({"event": "Order Completed", "where": [{"property": "total", "matches": "1*"}]}, "/where/0/matches", "number"),
        ({"event": "Order Completed", "sum": {"property": "city", "gt": 1}}, "/sum/property", "nothing to add up"),
        ({"event": "Order Completed", "distinct": {"property": "town", "gt": 1}}, "/distinct/property", "no property"),
        (
            {"event": "Page", "followed_by": {"event": "Oder Completed", "within": "P1D"}},
            "/followed_by/event",
            "did you mean Order Completed?",
        ),
        ({"sequence": [{"event": "Page"}, {"event": "Pgae"}]}, "/sequence/1/event", "did you mean Page?"),
        (
            {"event": "Order Completed", "where": [{"any_of": "product", "where": [{"property": "x", "is": 1}]}]},
            "/where/0/any_of",
            "did you mean products?",
        ),
    ],
    ids=lambda part: str(part)[:60],
)
def test_what_there_is_not_is_refused_with_its_place(document: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(RuleError) as refused:
        rules.check(rules.parse(document), FIELDS)
    assert refused.value.pointer == pointer
    assert message in refused.value.message
