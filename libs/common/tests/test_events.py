"""The wire form of facts, and the money in orders."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.common import commerce
from perennial.common.contracts.loyalty import PointsEarned
from perennial.common.events import Encoder, attributes, decode_value, encode_value, headers_for
from perennial.common.ids import digest_uuid, partition_of, spelled, uuid7


@given(st.text(st.characters(codec="utf-8")))
def test_header_values_survive_the_journey(value: str) -> None:
    encoded = encode_value(value)
    assert all(0x21 <= ord(letter) <= 0x7E and letter != '"' for letter in encoded)
    assert decode_value(encoded) == value


def test_header_values_of_others_are_read_leniently_and_broken_ones_are_not() -> None:
    assert decode_value('"Euro%20%e2%82%ac"') == "Euro €"
    for broken in ("100%", "%zz", "%ff"):
        with pytest.raises(ValueError):
            decode_value(broken)


def test_a_fact_is_a_cloud_event_in_binary_mode() -> None:
    event = PointsEarned(posting_id=uuid7(), via=uuid7(), customer=uuid7(), points=5, reason="order")
    headers, body = Encoder()(event)
    found = attributes({name.title(): value for name, value in json.loads(headers).items()})
    assert found["type"] == "loyalty.points.earned.v1"
    assert (found["source"], found["id"]) == ("/services/loyalty", str(event.id))
    assert (found["specversion"], found["datacontenttype"]) == ("1.0", "application/json")
    assert PointsEarned.model_validate_json(body) == event


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))])))
def test_a_header_spells_an_instant_as_iso_does(at: datetime) -> None:
    spelled_at = headers_for("a.b", "1", at, "/services/a")["ce-time"]
    assert spelled_at == at.isoformat().replace("+00:00", "Z")


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_what_names_itself_has_the_same_name_for_ever(parts: list[str]) -> None:
    made = digest_uuid(*parts)
    assert made == UUID(bytes=hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest())
    assert (spelled(made), hash(made), made.is_safe) == (str(made), hash(UUID(str(made))), UUID(str(made)).is_safe)


def test_an_event_names_itself_and_stays_in_its_partition() -> None:
    assert digest_uuid("shop", "1") == digest_uuid("shop", "1") != digest_uuid("shop1", "")
    assert {partition_of(uuid7()) for _ in range(500)} == set(range(16))


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"revenue": "19.999", "total": 5}, "20.00"),
        ({"total": 25, "shipping": "3", "tax": 2.5}, "19.50"),
        ({"products": [{"price": 10, "quantity": 2}, {"price": "1.10"}], "discount": 1}, "20.10"),
        ({"revenue": "lots", "total": 7}, "7.00"),
        ({"revenue": 0, "total": 7}, "0.00"),
        ({"revenue": float("inf")}, None),
        ({"revenue": "1e9999999", "total": 7}, "7.00"),
        ({"revenue": "-1e999999999999999999"}, None),
        ({"products": [{"price": "1e-9999999", "quantity": "1e9999999"}]}, "0.00"),
        ({"products": "none"}, None),
        ({}, None),
    ],
)
def test_the_amount_of_an_order(properties: dict[str, object], expected: str | None) -> None:
    assert commerce.amount(properties) == (Decimal(expected) if expected else None)


def test_semantic_names_have_many_spellings() -> None:
    assert commerce.canonical(" completed ORDER ") == "Order Completed"
    assert commerce.canonical("order canceled") == "Order Cancelled"
    assert commerce.canonical("EMAIL link clicked ") == "Email Link Clicked"
    assert commerce.canonical(" My Own Event ") == "My Own Event"
    assert commerce.currency({"currency": " eur"}, "USD") == "EUR"
    assert commerce.currency({"currency": "money"}, "USD") == "USD"
    assert commerce.order_id({"order_id": 17}) == "17"
    assert commerce.order_id({"order_id": " "}) is None
