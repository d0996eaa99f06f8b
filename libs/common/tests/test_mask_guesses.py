"""No rule that is allowed tells two texts apart that are shown alike."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from perennial.common import masks, rules
from perennial.common.auth import Principal
from perennial.common.problems import Forbidden
from perennial.common.rules.evaluation.conditions import affirmative, check
from perennial.common.rules.grammar.criteria import Condition
from perennial.common.rules.grammar.nodes import OnEvent

BLIND, SEEING = (
    Principal("staff", "x", frozenset(), None, frozenset(fields.split())) for fields in ("personal", "email phone")
)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
DIGITS = st.text("0123456789", min_size=4, max_size=4)
MOBILE = (["139{}5678", "8613{}95678", "86139{}5678"], DIGITS)
ABROAD = ([f"+{land}{{}}{more}5678" for land in ("39", "65", "1.") for more in ("", "9", "333")], DIGITS)
SHORT = (["+1{}", "+1.2{}", "+290 {}"], st.text("0123456789", min_size=6, max_size=7))
MAIL = (["a{}@x.cn"], st.text("bc./1-", min_size=1, max_size=6))
AROUND = st.sampled_from(["", " ", "call ", "/p/", "/p/ ", "?a=", "-", ".0", "电话", " 1391 ", "/"])
FRAGMENTS = [
    "1",
    "139",
    "1391",
    "/p/",
    "/p/a",
    "call 1",
    "+39",
    "13912345678",
    "a@x.cn",
    "ab",
    "@x.cn",
    "****",
    "-",
    "",
]
TEXT_OPERATORS = ["is", "is_not", "contains", "not_contains", "starts_with", "ends_with", "matches", "regex"]
NUMBERS = [5, 100, 139.1, 99.95, 10**6, 1_391_234, 6_591_234_567, 13_912_345_678, 86_139_123_456_78, 1e15]


def rule(operator: str, operand: Any) -> Any:
    return rules.parse({"event": "x", "where": [{"property": "note", operator: operand}]})


def allowed(principal: Principal, asked: Any) -> bool:
    try:
        masks.check_rule(principal, asked)
    except Forbidden:
        return False
    return True


def holds(asked: OnEvent, value: str) -> bool:
    asked_of = asked.where[0]
    assert isinstance(asked_of, Condition)
    operator, operand, negated = affirmative(asked_of)
    return check(operator, operand)(value, NOW) != negated


def shown(value: str) -> Any:
    return masks.properties(BLIND, {"note": value})


@st.composite
def twins(draw: st.DrawFn) -> tuple[str, str]:
    """Two texts that are shown alike and are not."""
    templates, hidden = draw(st.sampled_from([MOBILE, ABROAD, SHORT, MAIL]))
    before, template, after = draw(AROUND), draw(st.sampled_from(templates)), draw(AROUND)
    middles = draw(st.lists(hidden, min_size=2, max_size=2, unique=True))
    one, two = (f"{before}{template.format(middle)}{after}" for middle in middles)
    assume(shown(one) == shown(two))
    return one, two


@st.composite
def questions(draw: st.DrawFn, texts: tuple[str, str]) -> tuple[str, Any]:
    said = texts[0]
    start = draw(st.integers(0, len(said)))
    piece = said[start : draw(st.integers(start, len(said)))]
    words = st.sampled_from(FRAGMENTS) | st.just(piece) | st.just(said) | st.just(said[: start + 1])
    operator = draw(st.sampled_from([*TEXT_OPERATORS, "in", "gt", "gte", "lt", "lte", "before", "within_last"]))
    if operator in {"gt", "gte", "lt", "lte"}:
        return operator, draw(st.sampled_from(NUMBERS) | st.integers(0, 10**14))
    if operator in {"before", "within_last"}:
        return operator, "P30D"
    if operator == "in":
        return operator, draw(st.lists(words | st.sampled_from(NUMBERS), min_size=1, max_size=3))
    word = draw(words if operator != "is" else words | st.sampled_from(NUMBERS))
    assume(word or operator in {"is", "is_not", "contains", "not_contains"})
    return operator, word


@given(st.data())
@example(None)
def test_no_allowed_rule_tells_two_texts_apart_that_are_shown_alike(data: Any) -> None:
    one, two = data.draw(twins()) if data else ("139123456789 13912345678", "139123456789 13999995678")
    asked = rule(*(data.draw(questions((one, two))) if data else ("contains", "1391")))
    if allowed(BLIND, asked):
        assert holds(asked, one) == holds(asked, two)


@pytest.mark.parametrize(
    ("operator", "operand"),
    [
        ("contains", "1391"), ("not_contains", "a"), ("starts_with", "call 1391"), ("ends_with", "n@x.cn"),
        ("matches", "*1391*"), ("regex", "1391"), ("is", "call 13912345678"), ("is_not", "ann@x.cn now"),
        ("starts_with", "13912345678/"),
        ("in", ["gift", "call 13912345678"]), ("is", "call ****"), ("is", 13_912_345_678), ("gte", 13_912_000_000),
        ("lt", 0.1391), ("contains", 13_912_345_678), ("starts_with", "/products"),
    ],
)  # fmt: skip
def test_what_would_find_it_is_refused_and_named(operator: str, operand: Any) -> None:
    with pytest.raises(Forbidden) as refused:
        masks.check_rule(BLIND, rule(operator, operand))
    [error] = refused.value.errors
    assert (error.pointer, error.code) == (f"/rule/where/0/{operator}", "field_masked")
    assert "the property note may hold" in error.detail
    assert allowed(SEEING, rule(operator, operand))
    veiled: Any = masks.shown_rule(BLIND, rule(operator, operand))
    assert veiled.where[0].operand in ("****", ("****",))
    document = {"where": [{"property": "note", operator: operand}]}
    assert masks.shown_conditions(BLIND, document)["where"][0][operator] in ("****", ["****"])
    with pytest.raises(Forbidden):
        masks.check_rule(BLIND, rules.parse({"trait": "description", operator: operand}))


@pytest.mark.parametrize(
    ("operator", "operand"),
    [
        ("is", "gift"), ("in", ["a", "b"]), ("not_in", [1, True]), ("gte", 100), ("lt", 99.95), ("starts_with", "/p/"),
        ("contains", 7), ("exists", True), ("before", "2026-01-01"), ("is", "13912345678"),
    ],
)  # fmt: skip
def test_other_comparisons_are_allowed_and_shown(operator: str, operand: Any) -> None:
    """A mere number in a property is shown, so it may be asked for as well."""
    asked = rule(operator, operand)
    masks.check_rule(BLIND, asked)
    assert masks.shown_rule(BLIND, asked) == asked
    document = {"where": [{"property": "note", operator: operand}]}
    assert masks.shown_conditions(BLIND, document) == document


def test_bounds_of_a_sum_are_shown_one_by_one() -> None:
    asked = rules.parse({"event": "x", "max": {"property": "note", "gte": 100, "lt": 13_912_345_678}})
    with pytest.raises(Forbidden) as refused:
        masks.check_rule(BLIND, asked)
    assert [error.pointer for error in refused.value.errors] == ["/rule/max/lt"]
    veiled: Any = masks.shown_rule(BLIND, asked)
    assert (veiled.max.gte, veiled.max.lt) == (Decimal(100), "****")


@pytest.mark.parametrize("path", ["user_id", "customer.company_id", "buyer.tags[]"])
def test_a_mere_number_is_a_phone_where_it_is_shown_as_one(path: str) -> None:
    asked = rules.parse({"event": "x", "where": [{"property": path, "is": "13912345678"}]})
    assert not allowed(BLIND, asked)
    assert not allowed(BLIND, rules.parse({"trait": "tags[]", "is": "13912345678"}))
    assert allowed(BLIND, rules.parse({"trait": "tags[]", "is": "vip"}))
