"""What is a rule and what is not, where it is wrong, and that the published schema says the same."""

from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from perennial.common import rules

SEGMENT = "0190d4c2-7d1c-7b51-9a2e-111111111111"
GOOD: list[dict[str, Any]] = [
    {"everyone": True},
    {"segment": SEGMENT},
    {"random": {"salt": "spring", "lt": 20}},
    {"random": {"salt": "spring", "gte": 20, "lt": 40}},
    {"not": {"segment": SEGMENT}},
    {"trait": "plan", "is": "pro"},
    {"trait": "plan", "is": ""},
    {"trait": "age", "is": 18},
    {"trait": "ratio", "gte": 0.25},
    {"trait": "vip", "is_not": True},
    {"trait": "plan", "in": ["pro", 1, False]},
    {"trait": "tags[]", "not_in": ["a"]},
    {"trait": "address.city", "exists": False},
    {"trait": "utm\\.source", "matches": "news*"},
    {"trait": "createdAt", "before": "P30D"},
    {"trait": "createdAt", "after": "2026-01-01"},
    {"trait": "createdAt", "before": "2026-01-01T08:00:00Z"},
    {"trait": "renewsAt", "within_next": "P1DT12H"},
    {"event": "Order Completed"},
    {"event": "Order Completed", "count": {"gte": 3, "lte": 5}, "within": "P90D"},
    {"event": "Order Completed", "where": [{"property": "products[].category", "is": "toys"}]},
    {"event": "Order Completed", "sum": {"property": "revenue", "gte": 500.5}},
    {"event": "Order Completed", "last": {"before": "P60D"}},
    {"event": "Order Completed", "first": {"within_last": "PT1H"}},
    {"all": [{"any": [{"everyone": True}]}, {"not": {"everyone": True}}]},
]
LEAF = {"trait": "plan", "is": "pro"}
BAD: list[tuple[Any, str, str]] = [
    (None, "", "must be an object with one of all, any, not"),
    ([], "", "must be an object"),
    ({}, "", "must be an object with one of"),
    ({"every": []}, "", "must be an object with one of"),
    ({"all": []}, "/all", "at least 1 item"),
    ({"all": LEAF}, "/all", "tuple"),
    ({"all": [LEAF], "any": [LEAF]}, "/any", "is not known here"),
    ({"all": [LEAF, {"not": {"any": [LEAF, 7]}}]}, "/all/1/not/any/1", "must be an object"),
    ({"everyone": False}, "/everyone", "must be true"),
    ({"everyone": 1}, "/everyone", "must be true"),
    ({"segment": "vip"}, "/segment", "valid UUID"),
    ({"random": {"lt": 20}}, "/random/salt", "is missing"),
    ({"random": {"salt": "x"}}, "/random", "at least one of eq, gt"),
    ({"trait": "plan"}, "", "exactly one operator"),
    ({"trait": "plan", "is": 1, "gt": 2}, "", "exactly one operator, found is and gt"),
    ({"trait": "plan", "is": None}, "", "is must not be null"),
    ({"trait": "plan", "like": "x"}, "/like", "is not known here"),
    ({"trait": 5, "is": 1}, "/trait", "string"),
    ({"trait": "", "is": 1}, "/trait", "at least 1 character"),
    ({"trait": "a..b", "is": 1}, "/trait", "names joined by dots"),
    ({"trait": "[]", "is": 1}, "/trait", "names joined by dots"),
    ({"trait": ".".join("abcdefghi"), "is": 1}, "/trait", "at most 8 steps"),
    ({"trait": "plan", "is": {"a": 1}}, "/is", "string, a number or a boolean"),
    ({"trait": "plan", "is": "a\0b"}, "/is", "NUL"),
    ({"trait": "plan", "is": "\ud800"}, "/is", "surrogate"),
    ({"trait": "plan", "is": "x" * 501}, "/is", "at most 500"),
    ({"trait": "plan", "in": []}, "/in", "at least 1 item"),
    ({"trait": "plan", "in": [1] * 1001}, "/in", "at most 1000 items"),
    ({"trait": "plan", "in": ["a", None]}, "/in/1", "string, a number or a boolean"),
    ({"trait": "plan", "starts_with": ""}, "/starts_with", "at least 1 character"),
    ({"trait": "plan", "exists": "yes"}, "/exists", "boolean"),
    ({"trait": "age", "gt": "18"}, "/gt", "must be a number"),
    ({"trait": "age", "gt": True}, "/gt", "must be a number"),
    ({"trait": "age", "gt": 1e30}, "/gt", "below 1e30"),
    ({"trait": "age", "gt": float("nan")}, "/gt", "finite"),
    ({"trait": "age", "gt": Decimal("0.1234567890123456789")}, "/gt", "15 significant digits"),
    ({"trait": "at", "before": "yesterday"}, "/before", "ISO 8601"),
    ({"trait": "at", "before": "2026-02-30"}, "/before", "ISO 8601"),
    ({"trait": "at", "before": "P1M"}, "/before", "ISO 8601 duration"),
    ({"trait": "at", "within_last": "PT0S"}, "/within_last", "longer than zero"),
    ({"trait": "at", "within_last": "P"}, "/within_last", "ISO 8601 duration"),
    ({"trait": "at", "within_last": "P1DT"}, "/within_last", "ISO 8601 duration"),
    ({"trait": "at", "within_last": 30}, "/within_last", "ISO 8601 duration"),
    ({"trait": "at", "within_last": "P999999999W"}, "/within_last", "at most P36500D"),
    ({"event": ""}, "/event", "at least 1 character"),
    ({"event": "E", "within": "P1Y"}, "/within", "ISO 8601 duration"),
    ({"event": "E", "within": None}, "", "within must not be null"),
    ({"event": "E", "count": {}}, "/count", "at least one of"),
    ({"event": "E", "count": {"gte": -1}}, "/count", "whole numbers from 0"),
    ({"event": "E", "count": {"gte": 1.5}}, "/count", "whole numbers from 0"),
    ({"event": "E", "count": 3}, "/count", "valid dictionary"),
    ({"event": "E", "sum": {"gte": 3}}, "/sum/property", "is missing"),
    (
        {"event": "E", "count": {"gte": 1}, "sum": {"property": "x", "gte": 3}},
        "",
        "exactly one measure, found count and sum",
    ),
    ({"event": "E", "last": {"within_next": "P1D"}}, "/last/within_next", "is not known here"),
    ({"event": "E", "last": {"before": "P1D", "after": "P2D"}}, "/last", "exactly one of before"),
    ({"event": "E", "where": [{"property": "a", "gt": 1}, {"property": "b"}]}, "/where/1", "exactly one operator"),
    ({"event": "E", "where": [{"property": "a", "gt": "1"}]}, "/where/0/gt", "must be a number"),
    ({"event": "E", "a/b~c": 1}, "/a~1b~0c", "is not known here"),
]


@pytest.mark.parametrize("document", GOOD, ids=str)
def test_a_rule_survives_the_way_there_and_back(document: dict[str, Any]) -> None:
    rule = rules.parse(document)
    assert rules.dump(rule) == document
    assert rules.parse(rules.dump(rule)) == rule
    jsonschema.validate(document, rules.json_schema())


@pytest.mark.parametrize(("document", "pointer", "message"), BAD, ids=lambda part: repr(part)[:60])
def test_a_fault_is_named_with_its_place(document: Any, pointer: str, message: str) -> None:
    with pytest.raises(rules.RuleError) as refused:
        rules.parse(document)
    assert refused.value.pointer == pointer
    assert message in refused.value.message


def test_the_schema_is_valid_and_refuses_what_it_can() -> None:
    schema = rules.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    leaf: dict[str, Any] = {"trait": "a"}
    refused: list[dict[str, Any]] = [leaf, leaf | {"is": 1, "gt": 1}, leaf | {"is": None}, {"everyone": 2}, {"all": []}]
    for document in refused:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema)


def test_spellings_are_made_one() -> None:
    assert rules.dump(rules.parse({"trait": "at", "within_last": "P2W"})) == {"trait": "at", "within_last": "P14D"}
    assert rules.dump(rules.parse({"trait": "at", "before": "2026-01-01T08:00+08:00"}))["before"] == "2026-01-01"
    assert rules.dump(rules.parse({"trait": "n", "gt": 5.0}))["gt"] == 5


def test_a_rule_cannot_be_changed() -> None:
    rule = rules.parse(LEAF)
    with pytest.raises(ValueError, match="frozen"):
        rule.trait = "x"  # type: ignore[union-attr]


def test_size_is_limited_before_anything_recurses() -> None:
    deep: dict[str, Any] = LEAF
    for _ in range(5000):
        deep = {"not": deep}
    with pytest.raises(rules.RuleError, match="12 deep"):
        rules.parse(deep)
    with pytest.raises(rules.RuleError, match="200 conditions"):
        rules.parse({"any": [LEAF] * 10_000})


@pytest.mark.parametrize(
    ("spelled", "key"),
    [
        ("createdAt", "created_at"),
        ("created_at", "created_at"),
        ("customerID", "customer_id"),
        ("HTTPServer", "http_server"),
        ("line2Text", "line2_text"),
        ("等级", "等级"),
        ("VIP", "vip"),
    ],
)
def test_trait_keys_have_one_spelling(spelled: str, key: str) -> None:
    assert rules.trait_key(spelled) == key == rules.trait_key(key)
