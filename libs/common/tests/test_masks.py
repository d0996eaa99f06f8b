"""Who sees what."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.common import masks
from perennial.common.auth import Principal


def who(*fields: str, kind: Any = "staff") -> Principal:
    return Principal(kind, "x", frozenset(), None, frozenset(fields))


NOBODY, PERSONAL, ALL = who(), who("personal"), who("*")

BODY = {
    "type": "track",
    "event": "Order Completed",
    "userId": "u-1",
    "anonymousId": "13812345678",
    "properties": {
        "order_id": "13812345678",
        "name": "Blue Shirt",
        "email": "ann@example.com",
        "shippingAddress": {"street": "1 Main St", "lines": ["a", {"city": "Rome"}]},
        "products": [{"name": "Shirt", "price": 3, "gift_email": "bob@example.com"}],
        "note": "carl@example.com",
    },
    "traits": {"plan": "gold", "shoeSize": 44, "first_name": "Ann"},
    "context": {
        "ip": "203.0.113.9",
        "device": {"id": "d-1", "token": "t-1", "model": "P9", "type": "ios"},
        "externalIds": [{"id": "fb-1", "type": "facebook"}],
        "traits": {"phone": "+8613812345678"},
        "page": {"path": "/a"},
    },
}


def test_a_phone_an_address_and_a_name_are_still_recognised() -> None:
    assert masks.value("phone", "13812345678") == "138****5678"
    assert masks.value("phone", "+8613812345678") == "+86138****5678"
    assert masks.value("email", "ann@example.com") == "a****@example.com"
    assert masks.value("firstName", "王小明") == "王****"
    assert masks.value("birthday", "1990-02-03") == "****"
    assert masks.value("age", 31) == "****"
    assert masks.value("address", {"street": "1 Main St", "n": [1, None]}) == {"street": "****", "n": ["****", None]}


def test_what_nobody_has_classed_is_personal() -> None:
    assert masks.traits(NOBODY, {"shoe_size": 44, "plan": "gold"}) == {"shoe_size": "****", "plan": "gold"}
    assert masks.traits(PERSONAL, {"shoe_size": 44, "email": "a@b.example"}) == {
        "shoe_size": 44,
        "email": "a****@b.example",
    }


@pytest.mark.parametrize("spelling", ["phone", "Phone", "PHONE"])
def test_an_allow_list_names_fields_in_any_spelling(spelling: str) -> None:
    assert masks.sees(who("phone"), spelling)
    assert not masks.sees(who("email"), spelling)
    assert masks.sees(who("first_name"), "firstName")


def test_opaque_ids_are_shown_unless_they_are_an_address_or_a_phone() -> None:
    assert masks.identifier(NOBODY, "user_id", "u-1") == "u-1"
    assert masks.identifier(NOBODY, "user_id", "ann@example.com") == "a****@example.com"
    assert masks.identifier(NOBODY, "anonymous_id", "13812345678") == "138****5678"
    assert masks.identifier(who("sensitive"), "user_id", "ann@example.com") == "ann@example.com"
    assert masks.identifier(NOBODY, "wechat_openid", "oABCDEFGHIJKLMNOPQRS") == "oAB****PQRS"


def test_an_event_loses_its_people_and_keeps_its_goods() -> None:
    shown = masks.body(NOBODY, BODY)
    assert list(shown) == list(BODY)
    assert shown["anonymousId"] == "138****5678"
    assert shown["properties"] == {
        "order_id": "13812345678",
        "name": "Blue Shirt",
        "email": "a****@example.com",
        "shippingAddress": {"street": "****", "lines": ["****", {"city": "****"}]},
        "products": [{"name": "Shirt", "price": 3, "gift_email": "b****@example.com"}],
        "note": "c****@example.com",
    }
    assert shown["traits"] == {"plan": "gold", "shoeSize": "****", "first_name": "A****"}
    assert shown["context"]["ip"] == "****"
    assert shown["context"]["device"] == {"id": "****", "token": "****", "model": "P9", "type": "ios"}
    assert shown["context"]["externalIds"] == [{"id": "****", "type": "****"}]
    assert shown["context"]["traits"] == {"phone": "+86138****5678"}
    assert shown["context"]["page"] == {"path": "/a"}


def test_customers_and_the_all_seeing_see_all() -> None:
    assert masks.body(ALL, BODY) == BODY
    assert masks.body(who(kind="customer"), BODY) == BODY


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("zed@example.com"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["traits", "context", "properties", "x", "userId", "email"]), _JSON))
def test_whatever_is_sent_an_address_never_leaves_and_nothing_breaks(sent: dict[str, Any]) -> None:
    shown = masks.body(NOBODY, sent)
    assert shown.keys() == sent.keys()
    assert "zed@example.com" not in _strings(shown)


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []
