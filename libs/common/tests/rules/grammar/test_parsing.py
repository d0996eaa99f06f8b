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
    {"trait": "email", "regex": r"(?i)@(?:qq|163)\.com$"},
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
    {"trait": "age", "between": [18, 30.5]},
    {"trait": "renewsAt", "between": ["2026-01-01", "2026-02-01T08:00:00Z"]},
    {"trait": "renewsAt", "within": {"next": "month"}},
    {"trait": "birthday", "birthday_within": 7},
    {"trait": "home", "near": {"latitude": 31.2304, "longitude": -121.5, "km": 5}},
    {"any_of": "cars", "where": [{"property": "make", "is": "BYD"}, {"property": "year", "gte": 2024}]},
    {"none_of": "cars[]", "where": [{"property": "make", "is": "BYD"}]},
    {"event": "Order Completed", "within": {"this": "month"}, "distinct": {"property": "city", "gte": 2}},
    {"event": "Order Completed", "within": {"last": "week", "count": 4}, "last": {"within": {"this": "day"}}},
    {
        "event": "Order Completed",
        "where": [
            {"any_of": "products", "where": [{"property": "category", "is": "toys"}, {"property": "price", "gte": 50}]},
            {"none_of": "products", "where": [{"property": "gift", "is": True}]},
        ],
    },
    {
        "event": "Cart Viewed",
        "not_followed_by": {"event": "Order Completed", "within": "P1D"},
        "preceded_by": {"event": "Page", "where": [{"property": "path", "starts_with": "/sale"}], "within": "PT1H"},
    },
    {
        "sequence": [{"event": "Page"}, {"event": "Cart Viewed", "within": "PT1H"}, {"event": "Order Completed"}],
        "within": "P30D",
        "span": "P7D",
    },
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
    ({"trait": "plan", "regex": "(a"}, "/regex", "a group that is not closed"),
    ({"trait": "plan", "regex": ""}, "/regex", "at least 1 character"),
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
    ({"event": "E", "count": 3}, "/count", "must be an object"),
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
    ({"trait": "age", "between": [1]}, "/between", "two numbers or two times"),
    ({"trait": "age", "between": [5, 1]}, "/between", "a lesser and a greater"),
    ({"trait": "age", "between": ["2026-02-01", "2026-02-01"]}, "/between", "an earlier and a later"),
    ({"trait": "age", "between": [1, "2026-02-01"]}, "/between", "must be a number"),
    ({"trait": "at", "between": ["P1D", "P2D"]}, "/between", "two ISO 8601 dates"),
    ({"trait": "home", "near": {"latitude": 91, "longitude": 0, "km": 1}}, "/near/latitude", "from -90 to 90"),
    ({"trait": "home", "near": {"latitude": 1, "longitude": 0, "km": 0}}, "/near/km", "above 0"),
    ({"trait": "home", "near": {"latitude": 1, "longitude": 0}}, "/near/km", "is missing"),
    ({"tag": ""}, "", "tag must be a key"),
    ({"all": [{"tag": "vip", "is": "x"}]}, "/all/0", "tag must stand alone"),
    ({"stage": 5}, "", "stage must be a key"),
    ({"any_of": "cars"}, "/where", "is missing"),
    ({"any_of": "cars", "where": []}, "/where", "at least 1 item"),
    ({"any_of": "cars", "none_of": "x", "where": [{"property": "a", "is": 1}]}, "", "exactly one of any_of, none_of"),
    ({"any_of": "cars", "where": [{"any_of": "x", "where": []}]}, "/where/0/property", "is missing"),
    ({"event": "E", "where": [{"any_of": "p", "where": [{"property": "a"}]}]}, "/where/0/where/0", "one operator"),
    ({"event": "E", "where": [{"is": 1}]}, "/where/0/property", "is missing"),
    ({"event": "E", "distinct": {"property": "a", "gte": 0.5}}, "/distinct", "whole numbers from 0"),
    ({"event": "E", "distinct": {"property": "a"}}, "/distinct", "at least one of"),
    ({"event": "E", "followed_by": {"event": "F"}}, "/followed_by/within", "is missing"),
    ({"event": "E", "followed_by": {"event": "F", "within": "PT0S"}}, "/followed_by/within", "longer than zero"),
    ({"event": "E", "preceded_by": {"event": "F", "within": {"this": "day"}}}, "/preceded_by/within", "ISO 8601"),
    ({"sequence": [{"event": "E"}]}, "/sequence", "at least 2 items"),
    ({"sequence": [{"event": "E"}] * 11}, "/sequence", "at most 10 items"),
    ({"sequence": [{"event": "E", "within": "P1D"}, {"event": "F"}]}, "", "the first step cannot have within"),
    ({"sequence": [{"event": "E"}, {"event": "F", "within": "PT0S"}]}, "/sequence/1/within", "longer than zero"),
    ({"sequence": [{"event": "E"}, {"event": "F"}], "span": "PT0S"}, "/span", "longer than zero"),
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
    window = {"last": "week", "count": 1}
    assert rules.dump(rules.parse({"trait": "at", "within": window}))["within"] == {"last": "week"}


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
    round_and_round: dict[str, Any] = {}
    round_and_round["not"] = round_and_round["where"] = round_and_round
    with pytest.raises(rules.RuleError, match="12 deep"):
        rules.parse(round_and_round)
    many = {"event": "E", "where": [{"any_of": "p", "where": [{"property": "a", "is": 1}] * 20}] * 20}
    with pytest.raises(rules.RuleError, match="1000 conditions on properties"):
        rules.parse({"any": [many] * 3})
    with pytest.raises(rules.RuleError, match="1000 conditions on properties"):
        rules.parse({"sequence": [{"event": "E"}] * 10_000})


def test_shorthands_are_spelled_out() -> None:
    for document, spelled in [
        ({"tag": "vip"}, {"trait": "tags[]", "is": "vip"}),
        ({"stage": "loyal"}, {"trait": "stage", "is": "loyal"}),
    ]:
        assert rules.dump(rules.parse({"not": document})) == {"not": spelled}
        jsonschema.validate({"not": document}, rules.json_schema())
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, "is": 1}, rules.json_schema())


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
