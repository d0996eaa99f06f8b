"""NUL characters and halves of surrogate pairs are taken out, and nothing else is touched."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.gateway.tracking.refusal import Refusal
from perennial.gateway.tracking.text import clean


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (rb'{"a":"x\u0000y"}', "xy"),
        (rb'{"a":"\ud83d"}', "\ufffd"),
        (rb'{"a":"\ude00x"}', "\ufffdx"),
        (rb'{"a":"\ud83d\ude00"}', "😀"),
        (rb'{"a":"\uD83D\uDE00\uD83D"}', "😀\ufffd"),
        (rb'{"a":"\ude00\ud83d"}', "\ufffd\ufffd"),
        (rb'{"a":"\\u0000"}', r"\u0000"),
        (rb'{"a":"\\ud83d\ude00"}', "\\ud83d\ufffd"),
        (rb'{"a":"\\\ud83d\ude00"}', "\\😀"),
        (rb'{"a":"\"\u0000\n"}', '"\n'),
    ],
)
def test_clean(sent: bytes, kept: str) -> None:
    assert json.loads(clean(sent)) == {"a": kept}


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert clean(b'\xef\xbb\xbf{"a":1}') == b'{"a":1}'


def test_keys_are_cleaned_too() -> None:
    assert json.loads(clean(rb'{"\u0000a\ud800":1}')) == {"a\ufffd": 1}


def test_numbers_keep_their_digits() -> None:
    assert clean(rb'{"a":19.90000000000000000001,"b":"\u0000"}') == b'{"a":19.90000000000000000001,"b":""}'


def test_what_is_not_utf8_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        clean(b'{"a":"\xff"}')
    assert (refused.value.status, refused.value.code) == (400, "invalid_json")


@pytest.mark.parametrize(
    "sent",
    [
        rb'{"a":"\u00\u000000"}',
        rb'{"a":"\ud8\u000000"}',
        rb'{"a":"\u\ud83d"}',
        rb'{"a":"\\\u00\u000000"}',
        rb'"\ud800\u"',
    ],
)
def test_what_is_taken_out_does_not_complete_what_was_broken(sent: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        clean(sent)
    assert (refused.value.status, refused.value.code) == (400, "invalid_json")


@pytest.mark.parametrize(
    "escape", [rb"\\", rb"\"a", rb"\u0000", rb"\ud800", rb"\ude00a", rb"\ud83d\ude00", rb"\\\u0000"]
)
def test_a_small_gzip_of_escapes_does_not_hold_up_the_loop(escape: bytes) -> None:
    sent = rb'{"a":"\u0000' + escape * (500_000 // len(escape)) + b'"}'
    started = time.thread_time()
    clean(sent)
    assert time.thread_time() - started < 0.05


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_the_result_is_always_storable_and_harmless_text_stays(text: str) -> None:
    found = json.loads(clean(json.dumps({"a": text}).encode()))["a"]
    found.encode()
    assert "\0" not in found
    if "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text):
        assert found == text
