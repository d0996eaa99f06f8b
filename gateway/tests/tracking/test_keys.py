"""Where the write key is looked for, and in which order."""

import base64

import pytest

from perennial.gateway.tracking import keys


def basic(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


@pytest.mark.parametrize(
    "header",
    [
        basic("wk_1:"),
        basic("wk_1"),
        basic("wk_1:").rstrip(b"="),
        b"basic " + base64.b64encode(b"wk_1:"),
        basic("wk_1:ignored"),
    ],
)
def test_basic_gives_the_user_name_with_or_without_colon_and_padding(header: bytes) -> None:
    assert keys.from_headers({b"authorization": header}) == "wk_1"


def test_basic_beats_x_write_key() -> None:
    assert keys.from_headers({b"authorization": basic("a:"), b"x-write-key": b"b:secret"}) == "a"


def test_x_write_key_is_cut_at_its_colon() -> None:
    assert keys.from_headers({b"x-write-key": b"id:secret"}) == "id"


@pytest.mark.parametrize("header", [b"", b"Basic", b"Basic ", b"Basic !!!", b"Bearer abc", b"Basic Og=="])
def test_other_authorization_is_no_write_key(header: bytes) -> None:
    assert keys.from_headers({b"authorization": header}) is None


def test_the_first_event_may_carry_it() -> None:
    assert keys.from_event(b'{"type":"track","writeKey":"wk"}') == "wk"


@pytest.mark.parametrize("raw", [b"null", b"3", b'{"writeKey":7}', b'{"writeKey":""}', b"{}"])
def test_an_event_without_one_has_none(raw: bytes) -> None:
    assert keys.from_event(raw) is None


def test_a_beacon_carries_it_in_the_query() -> None:
    assert keys.from_query(b"x=1&writeKey=wk%5F2") == "wk_2"
    assert keys.from_query(b"x=1") is None
