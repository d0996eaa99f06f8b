"""What is masked inside free text, and what is left alone."""

import time

import pytest

from perennial.common import prose
from perennial.common.auth import Principal


def who(*fields: str, kind: str = "staff") -> Principal:
    return Principal(kind, "x", frozenset(), None, frozenset(fields))  # type: ignore[arg-type]


NOBODY, PERSONAL, ALL = who(), who("personal"), who("*")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Mail ann@example.com, or bob.b@mail.example.org.", "Mail a****@example.com, or b****@mail.example.org."),
        ("<ann@example.com>", "<a****@example.com>"),
        ("电话13812345678，谢谢", "电话138****5678，谢谢"),
        ("+86 138-1234-5678", "+86138****5678"),
        ("call 008613812345678", "call 008****5678"),
        ("tel:+442079460958", "tel:+4420****0958"),
        ("(212) 555-0123", "21****0123"),
        ("07911123456", "079****3456"),
        ("card 4111 1111 1111 1111", "card ****"),
        ("card 4111111111111111", "card 411****1111"),
        ("id 11010519900307234X", "id 110****234X"),
        ("order 20260131000123 of 2026-01-31 10:20:30", "order 20260131000123 of 2026-01-31 10:20:30"),
        ("019ab123-4567-7890-1234-567890123456", "019ab123-4567-7890-1234-567890123456"),
        ("12.50 at 3 p.m., ticket 1042, 1 234 567", "12.50 at 3 p.m., ticket 1042, 1 234 567"),
        ("2 shirts @ 9.50, a@b today", "2 shirts @ 9.50, a@b today"),
        ("cut off: ann.smith@exam", "cut off: ****"),
    ],
)
def test_addresses_and_numbers_are_masked_and_the_rest_is_not(written: str, shown: str) -> None:
    assert prose.masked(NOBODY, written) == prose.masked(PERSONAL, written) == shown
    assert prose.masked(ALL, written) == prose.masked(who("sensitive"), written) == written
    assert prose.masked(who(kind="customer"), written) == written


def test_each_kind_is_masked_by_itself() -> None:
    both = "ann@example.com 13812345678"
    assert prose.masked(who("email"), both) == "ann@example.com 138****5678"
    assert prose.masked(who("phone"), both) == "a****@example.com 13812345678"


def test_private_text_is_for_those_who_see_personal_fields() -> None:
    said = "Zed lives next door: zed@example.com"
    assert prose.private(NOBODY, said) == prose.private(who("sensitive"), said) == "****"
    assert prose.private(PERSONAL, said) == "Zed lives next door: z****@example.com"
    assert prose.private(ALL, said) == prose.private(who(kind="customer"), said) == said
    assert prose.private(NOBODY, None) is None


def test_a_reference_is_opaque_unless_it_is_an_address() -> None:
    for opaque in ("4242424242424242", "A-1042", "20260131000123", "010-12345678"):
        assert prose.reference(NOBODY, opaque) == opaque
    assert prose.reference(NOBODY, "13812345678") == "138****5678"
    assert prose.reference(NOBODY, "for:ann@example.com") == "for:a****@example.com"
    assert prose.reference(NOBODY, "call 13812345678") == "call 138****5678"
    assert prose.reference(ALL, "13812345678") == "13812345678"
    assert prose.reference(NOBODY, None) is None


def test_json_is_masked_at_every_depth() -> None:
    held = {"a": ["ann@example.com", {"b": "call 13812345678"}], "n": 13812345678, "z": None}
    assert prose.within(NOBODY, held) == {
        "a": ["a****@example.com", {"b": "call 138****5678"}],
        "n": 13812345678,
        "z": None,
    }


@pytest.mark.parametrize("hard", ["a", "1", "1 ", "a@", "a.", "@", "+1", "a@a.", "1-", "(1) "])
def test_no_text_takes_long(hard: str) -> None:
    started = time.perf_counter()
    prose.masked(NOBODY, hard * (20_000 // len(hard)))
    assert time.perf_counter() - started < 2
