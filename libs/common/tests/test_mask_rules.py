"""A rule is no way round a mask."""

from typing import Any

import pytest

from perennial.common import masks, rules
from perennial.common.auth import Principal
from perennial.common.problems import Forbidden


def who(*fields: str, kind: Any = "staff") -> Principal:
    return Principal(kind, "x", frozenset(), None, frozenset(fields))


NOBODY, PERSONAL, ALL = who(), who("personal"), who("*")
RULE = {
    "all": [
        {"trait": "plan", "is": "gold"},
        {"not": {"any": [{"trait": "email", "ends_with": "@secret.example"}, {"trait": "email", "exists": True}]}},
        {"event": "Order Completed", "where": [{"property": "recipientPhone", "starts_with": "138"}]},
        {"trait": "birthday", "before": "1990-02-03"},
        {"event": "Order Completed", "sum": {"property": "home.latitude", "gte": 47}},
        {"trait": "age", "gte": 61},
        {"trait": "last_visit", "within_last": "P41D"},
        {"trait": "phone", "in": ["13812345678", "13812345679"]},
    ]
}
COMPARED = {
    "/rule/all/1/not/any/0/trait": "email",
    "/rule/all/2/where/0/property": "recipientPhone",
    "/rule/all/3/trait": "birthday",
    "/rule/all/4/sum/property": "home.latitude",
    "/rule/all/5/trait": "age",
    "/rule/all/6/trait": "last_visit",
    "/rule/all/7/trait": "phone",
}


def test_every_hidden_field_is_named_with_its_place() -> None:
    with pytest.raises(Forbidden) as refused:
        masks.check_rule(NOBODY, rules.parse(RULE))
    assert refused.value.code == "field_masked"
    assert {error.pointer for error in refused.value.errors} == COMPARED.keys()
    for error in refused.value.errors:
        assert COMPARED[error.pointer] in error.detail
    assert "rule/all/3/trait: the trait birthday is masked for you" in refused.value.detail


@pytest.mark.parametrize("name", ["receiver.name", "shipping.line1", "order.buyer.name", "contacts[].user.nick"])
def test_what_an_object_of_a_person_holds_is_compared_as_it_is_shown(name: str) -> None:
    where = {"event": "Order Completed", "where": [{"property": name, "is": "Otto"}]}
    trait = {"trait": f"company.{name}", "is": "Otto"}
    for rule in (where, trait):
        with pytest.raises(Forbidden):
            masks.check_rule(NOBODY, rules.parse(rule))
        masks.check_rule(PERSONAL, rules.parse(rule))
    shown = rules.dump(masks.shown_rule(NOBODY, rules.parse(where)))
    assert "Ot" not in str(shown["where"])
    assert "Ot" not in str(masks.shown_conditions(NOBODY, where)["where"])
    masks.check_rule(NOBODY, rules.parse({"trait": "company.name", "is": "Acme"}))
    masks.check_rule(NOBODY, rules.parse({"event": "x", "where": [{"property": "shipping.city", "is": "Rome"}]}))


def test_classes_names_and_all_open_what_they_say() -> None:
    with pytest.raises(Forbidden) as refused:
        masks.check_rule(PERSONAL, rules.parse(RULE))
    assert {error.pointer for error in refused.value.errors} == {
        pointer for pointer in COMPARED if COMPARED[pointer] in {"email", "recipientPhone", "home.latitude", "phone"}
    }
    named = who("personal", "email", "phone", "recipient_phone", "latitude")
    masks.check_rule(named, rules.parse(RULE))
    masks.check_rule(ALL, rules.parse(RULE))
    masks.check_rule(who(kind="customer"), rules.parse(RULE))


@pytest.mark.parametrize(
    "rule",
    [
        {"trait": "email", "exists": False},
        {"trait": "city", "is": "Rome"},
        {"event": "Order Completed", "where": [{"property": "email", "exists": True}]},
        {"event": "Order Completed", "where": [{"property": "products[].name", "is": "Shirt"}]},
        {"segment": "0192f0c0-0000-7000-8000-000000000000"},
        {"everyone": True},
    ],
)
def test_what_is_public_may_be_asked(rule: dict[str, Any]) -> None:
    masks.check_rule(NOBODY, rules.parse(rule))


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ((), "E-Mail"),
        ((), "workEmail"),
        ((), "phone2"),
        ((), "company.owner_email"),
        (("personal",), "address.phone"),
        (("personal",), "emails[]"),
        (("sensitive",), "address.city"),
    ],
)
def test_a_spelling_or_a_path_does_not_help(fields: tuple[str, ...], path: str) -> None:
    with pytest.raises(Forbidden):
        masks.check_rule(who(*fields), rules.parse({"trait": path, "is": "x"}))


def test_a_shown_rule_tells_what_is_asked_and_not_for_what() -> None:
    shown = masks.shown_conditions(NOBODY, RULE)
    assert shown == {
        "all": [
            {"trait": "plan", "is": "gold"},
            {"not": {"any": [{"trait": "email", "ends_with": "****"}, {"trait": "email", "exists": True}]}},
            {"event": "Order Completed", "where": [{"property": "recipientPhone", "starts_with": "****"}]},
            {"trait": "birthday", "before": "****"},
            {"event": "Order Completed", "sum": {"property": "home.latitude", "gte": "****"}},
            {"trait": "age", "gte": "****"},
            {"trait": "last_visit", "within_last": "****"},
            {"trait": "phone", "in": ["****"]},
        ]
    }
    said = rules.describe(masks.shown_rule(NOBODY, rules.parse(RULE)))
    for secret in ("secret", "138", "1990", "47", "61", "41"):
        assert secret not in said
    assert "birthday is before ****" in said
    assert rules.dump(masks.shown_rule(NOBODY, rules.parse(RULE))) == shown
    assert masks.shown_conditions(ALL, RULE) == RULE


def test_what_a_leaf_saw_is_masked_by_the_last_name_of_its_path() -> None:
    def seen(principal: Principal, trait: str, found: Any) -> Any:
        return masks.compared_value(principal, rules.parse({"trait": trait, "exists": True}), found)

    assert seen(NOBODY, "email", "ann@example.com") == "a****@example.com"
    assert seen(PERSONAL, "address", {"city": "Rome", "phone": "13812345678"}) == {
        "city": "Rome", "phone": "138****5678",
    }  # fmt: skip
    assert seen(NOBODY, "address.city", "Rome") == "****"
    assert seen(NOBODY, "phones[]", ["+8613812345678", None]) == ["+86138****5678", None]
    assert seen(NOBODY, "company.name", "Acme") == "Acme"
    assert seen(NOBODY, "city", "ann@example.com") == "a****@example.com"
    assert masks.compared_value(NOBODY, rules.parse({"event": "X", "count": {"gte": 1}}), 3) == 3


ELEMENTS = {"any_of": "products", "where": [{"property": "email", "is": "a@x.cn"}, {"property": "price", "gte": 5}]}
INSIDE: list[tuple[dict[str, Any], str, str]] = [
    ({"event": "x", "where": [ELEMENTS]}, "/rule/where/0/where/0/property", "products[].email"),
    (
        {"event": "x", "followed_by": {"event": "y", "within": "P1D", "where": [{"property": "phone", "is": "1"}]}},
        "/rule/followed_by/where/0/property",
        "phone",
    ),
    (
        {"sequence": [{"event": "x"}, {"event": "y", "where": [{"property": "email", "is": "a@x.cn"}]}]},
        "/rule/sequence/1/where/0/property",
        "email",
    ),
    ({"event": "x", "distinct": {"property": "email", "gte": 7}}, "/rule/distinct/property", "email"),
    (
        {"none_of": "contacts", "where": [{"property": "phone", "is": "13812345678"}]},
        "/rule/where/0/property",
        "contacts[].phone",
    ),
    (
        {"event": "x", "where": [{"any_of": "customer.cards", "where": [{"property": "address", "is": "a"}]}]},
        "/rule/where/0/where/0/property",
        "customer.cards[].address",
    ),
    ({"trait": "birthday", "birthday_within": 3}, "/rule/trait", "birthday"),
    ({"trait": "birthday", "within": {"this": "month"}}, "/rule/trait", "birthday"),
    ({"trait": "shop", "near": {"latitude": 1, "longitude": 2, "km": 3}}, "/rule/trait", "shop"),
    ({"trait": "address", "near": {"latitude": 1, "longitude": 2, "km": 3}}, "/rule/trait", "address"),
    ({"trait": "age", "between": [18, 30]}, "/rule/trait", "age"),
]


@pytest.mark.parametrize(("document", "pointer", "name"), INSIDE, ids=lambda part: str(part)[:50])
def test_no_part_of_a_rule_compares_what_is_masked(document: dict[str, Any], pointer: str, name: str) -> None:
    rule = rules.parse(document)
    masks.check_rule(ALL, rule)
    with pytest.raises(Forbidden) as refused:
        masks.check_rule(NOBODY, rule)
    [error] = refused.value.errors
    assert (error.pointer, error.code) == (pointer, "field_masked")
    assert name in error.detail
    shown = masks.shown_rule(NOBODY, rule)
    told = str(rules.dump(shown))
    assert "****" in told
    assert masks.shown_conditions(NOBODY, document) == rules.dump(shown) | {}
    for language in ("en", "zh"):
        said = rules.describe(shown, language)
        for secret in ("a@x.cn", "13812345678", "2, 3", "18", "P1M"):
            assert secret not in said


def test_elements_of_a_hidden_list_are_not_explained() -> None:
    rule = rules.parse({"any_of": "contacts", "where": [{"property": "phone", "exists": True}]})
    masks.check_rule(NOBODY, rule)
    seen = [{"phone": "13812345678", "kind": "home"}]
    assert "13812345678" not in str(masks.compared_value(NOBODY, rule, seen))
    assert masks.compared_value(ALL, rule, seen) == seen
