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


@pytest.mark.parametrize(
    ("field", "sensitivity"),
    [
        ("E-Mail", "sensitive"), ("workEmail", "sensitive"), ("emails", "sensitive"), ("email_2", "sensitive"),
        ("eMailAddress", "sensitive"), ("phone2", "sensitive"), ("PhoneNumbers", "sensitive"),
        ("IPAddress", "sensitive"),
        ("手机号", "sensitive"), ("身份证号", "sensitive"), ("billing.phone", "sensitive"), ("ｅｍａｉｌ", "sensitive"),
        ("vip", "personal"), ("姓名", "personal"), ("addresses", "personal"), ("emailed", "personal"),
        ("Company ID", "public"), ("companyId", "public"), ("tags", "public"), ("x" * 500 + "_email", "sensitive"),
    ],
)  # fmt: skip
def test_a_spelling_does_not_change_the_class(field: str, sensitivity: str) -> None:
    assert masks.class_of(field) == sensitivity


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("13812345678", "138****5678"),
        ("+86 138-1234-5678", "+86138****5678"),
        ("+15551234567", "+155****4567"),
        ("(555) 123-4567", "55****4567"),
        ("+4512345678", "+45****5678"),
        ("+441234567890123", "+44123****0123"),
        ("12345678", "****5678"),
        ("1234567", "****"),
        ("13812345678 or 13912345678", "****"),
        ("call 13812345678", "****"),
        ("", "****"),
    ],
)
def test_a_phone_shows_at_most_its_country_three_digits_and_the_last_four(number: str, shown: str) -> None:
    assert masks.value("phone", number) == shown


@pytest.mark.parametrize(
    ("field", "clear", "shown"),
    [
        ("email", "hello @ my number 138.12345678", "****"),
        ("email", "bob@x.example, ann@example.com", "****"),
        ("password", "correct-horse-battery", "****"),
        ("ip", "2001:0db8:0000:0000:0000:ff00:0042:8329", "****"),
        ("id_card", "110101198706059876", "110****9876"),
        ("credit_card", "4111111111111111", "411****1111"),
        ("bank_account", "a private note of mine", "****"),
        ("notes", "somewhat longer than sixteen", "****"),
        ("name", "Ann", "A****"),
        ("email", {"ann@example.com": True, "n": 1}, {"a****@example.com": "****", "n": "****"}),
    ],
)
def test_a_mask_never_shows_more_than_it_says(field: str, clear: Any, shown: Any) -> None:
    assert masks.value(field, clear) == shown


@pytest.mark.parametrize(
    ("clear", "shown"),
    [
        ("write to ann.b@mail.example.com!", "write to a****@mail.example.com!"),
        ("https://x.example/?a=1&email=ann%40x.example&q=s", "https://x.example/?a=1&email=****&q=s"),
        ("https://x.example/r?to=ann%40x.example", "https://x.example/r?to=a****%40x.example"),
        ("?phone=13812345678&access_token=abc&plan=gold", "?phone=****&access_token=****&plan=gold"),
        ("/u/ann@x.example/orders", "/u/a****@x.example/orders"),
        ("ring +86 138 1234 5678 now", "ring +86138****5678 now"),
        ("13812345678", "138****5678"),
        ("at 2026-01-01T10:00:00+08:00", "at 2026-01-01T10:00:00+08:00"),
        ("0192f0c0-1381-2345-6781-381234567812", "0192f0c0-1381-2345-6781-381234567812"),
        ("SO-13812345678 of 1763784180123", "SO-13812345678 of 1763784180123"),
        ("a=b and c", "a=b and c"),
    ],
)
def test_addresses_and_phones_are_found_inside_texts(clear: str, shown: str) -> None:
    assert masks.text(NOBODY, clear) == shown
    assert masks.text(ALL, clear) == clear


def test_a_text_is_masked_by_what_is_seen() -> None:
    said = "ann@x.example or +8613812345678, ?email=ann@x.example"
    assert masks.text(who("email"), said) == "ann@x.example or +86138****5678, ?email=ann@x.example"
    assert masks.text(who("phone"), said) == "a****@x.example or +8613812345678, ?email=****"


def test_long_texts_take_no_time() -> None:
    for text in ("a" * 30_000 + "@", "1 " * 15_000 + "@", "%40" * 10_000, "?a=" * 10_000, "_" * 30_000):
        masks.text(NOBODY, text)
        masks.properties(NOBODY, {text: text})


def test_people_in_an_event_are_masked_like_traits() -> None:
    sent = {
        "customer": {"name": "Ann", "city": "Rome", "shoeSize": 44},
        "shipping": 3,
        "userId": 13812345678,
        "total": 13812345678,
        "user_id": "13812345678",
        "is_mobile": True,
        "ann@x.example": 1,
        "lines": [{"user": {"nick": "x"}}],
    }
    assert masks.properties(NOBODY, sent) == {
        "customer": {"name": "A****", "city": "Rome", "shoeSize": "****"},
        "shipping": 3,
        "userId": "138****5678",
        "total": 13812345678,
        "user_id": "138****5678",
        "is_mobile": True,
        "a****@x.example": 1,
        "lines": [{"user": {"nick": "****"}}],
    }


def test_an_error_is_shown_without_what_it_quotes() -> None:
    said = "invalid value 'Ann Smith' of \"+86\" [input_value=Ann, type=x] for a@b.example\nDETAIL: row (Ann, 44)"
    assert masks.error(NOBODY, said) == "invalid value **** of **** [****, type=x] for a****@b.example"
    assert masks.error(ALL, said) == said


_ADDRESSES = st.sampled_from(["zed@example.com", "to zed@example.com", "/?q=zed%40example.com"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | _ADDRESSES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["traits", "context", "properties", "x", "userId", "email"]), _JSON))
def test_whatever_is_sent_an_address_never_leaves_and_nothing_breaks(sent: dict[str, Any]) -> None:
    shown = masks.body(NOBODY, sent)
    assert len(shown) == len(sent)
    assert not any("zed" in text for text in _strings(shown))


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for inner in value.values() for text in _strings(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    ("held", "wanted", "shown"),
    [
        ("*", "*", True),
        ("*", "personal", True),
        ("personal", "personal", True),
        ("personal", "name", True),
        ("personal", "email", False),
        ("personal", "sensitive", False),
        ("personal", "*", False),
        ("email", "email", True),
        ("email", "sensitive", False),
        ("", "gender", True),
        ("", "name", False),
        ("sensitive personal", "*", False),
    ],
)
def test_what_an_allow_list_covers(held: str, wanted: str, shown: bool) -> None:
    assert masks.covers(held.split(), wanted) is shown
