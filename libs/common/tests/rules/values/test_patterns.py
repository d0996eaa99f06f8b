"""Patterns: what is read, what is refused, and that memory, Postgres and a naive third agree about all of it."""

import os
import re
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from perennial.common.rules.values.finders import BUDGETS, Finders, finder
from perennial.common.rules.values.patterns import LARGEST, TooLargeError, portable

EXAMPLES = int(os.environ.get("PERENNIAL_EXAMPLES", "40"))
ASK = text("""
    SELECT n FROM unnest(CAST(:patterns AS text[]), CAST(:texts AS text[])) WITH ORDINALITY AS asked (pattern, said, n)
    WHERE said ~ pattern""")
LETTERS = [
    "a",
    "b",
    "A",
    "K",
    "ſ",
    "é",
    "签",
    "😀",
    "_",
    "-",
    "]",
    "}",
    "5",
    " ",
    "\n",
    "/",
    "%",
    "~",
    '"',
    "'",
    "&",
    "#",
]
SIGNS = [r"\.", r"\*", r"\[", r"\]", r"\(", r"\{", r"\^", r"\$", r"\|", r"\\", r"\-", r"\_", r"\n", r"\t", r"\/",
         r"\?"]  # fmt: skip
SETS = [".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", "[a-c]", "[^a-c]", "[A-z]", r"[\d_-]", r"[^\s签]", "[a-]",
        "[-a]", "[é-签]", r"[\]\[]", r"[\^a]", "[.*+?]", "[Z-b]", "[^^]"]  # fmt: skip
TEXTS = st.text(
    st.sampled_from([*LETTERS, "c", "B", "k", "s", "S", "É", "z", "Z", "[", "\\", ".", "*", "^", "$", "\t", "K"]),
    max_size=8,
)
MANY = "".join(chr(0x100 + 37 * place) for place in range(150))  # far apart, so that each is a state of its own
TIMES = ["*", "+", "?", "{2}", "{0,1}", "{1,3}", "{2,}"]

_atoms = st.sampled_from([*LETTERS, *SIGNS, *SETS])
_parts = st.recursive(
    _atoms,
    lambda inner: (
        st.lists(st.lists(inner, min_size=1, max_size=3).map("".join), min_size=1, max_size=3).map(
            lambda ways: f"({'|'.join(ways)})"
        )
        | st.builds(lambda part, times: f"(?:{part}{times})", inner, st.sampled_from(TIMES))
    ),
    max_leaves=6,
)
_sequences = st.lists(
    st.builds(lambda part, times: part + times, _parts, st.sampled_from(["", "", *TIMES])), min_size=1, max_size=4
).map("".join)
patterns = st.builds(
    lambda case, first, ways, last: f"{case}{first}{'|'.join(ways)}{last}",
    st.sampled_from(["", "", "(?i)"]), st.sampled_from(["", "", "^", "(^|a)"]),
    st.lists(_sequences, min_size=1, max_size=2), st.sampled_from(["", "", "$", "(b|$)"]),
)  # fmt: skip


def naively(pattern: str, said: str) -> bool:
    """As Python reads it, told what we mean by the end of a text and by letters."""
    wanted = re.sub(r"(\\.)|\$", lambda found: found[1] or r"\Z", pattern)
    return re.search(wanted, said, re.DOTALL | re.ASCII) is not None


def valid(pattern: str) -> bool:
    """What is too large is refused."""
    with suppress(TooLargeError):
        portable(pattern)
        return True
    return False


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@example([(r"^a$", "a\n"), (r"(a*)*", ""), ("(?i)[Z-b]", "k"), ("(?i)k", "K"), ("(?i)s", "ſ"), ("[é-签]", "ｚ")])
@given(st.lists(st.tuples(patterns, TEXTS), min_size=1, max_size=20))
async def test_memory_and_postgres_agree_with_a_naive_third(facts: AsyncSession, asked: list[tuple[str, str]]) -> None:
    asked = [(pattern, said) for pattern, said in asked if valid(pattern)]
    written = {"patterns": [portable(pattern) for pattern, _ in asked], "texts": [said for _, said in asked]}
    found = set((await facts.execute(ASK, written)).scalars())
    for number, (pattern, said) in enumerate(asked, start=1):
        assert finder(pattern)(said) == naively(pattern, said), (pattern, said)
        assert (number in found) == naively(pattern, said), (pattern, said, portable(pattern))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(a", "a group that is not closed"), ("a)", "closes a group"), ("[a", "a [ that is not closed"),
        ("[]", "an empty []"), ("[]a]", "an empty []"), ("[[:alpha:]]", "[: in it"),
        ("[b-a]", "a range from b back to a"), ("[a-", "a [ that is not closed"),
        ("*a", "nothing to repeat before *"), ("a**", "repeats a repetition"), ("a*?", "repeats a repetition"),
        ("a{,2}", "without a number"), ("a{2", "no repetition"), ("{", "nothing to repeat"),
        ("a{3,2}", "no repetition"), ("a{0}", "no repetition"), ("a{101}", "a number up to 100"), ("^*", "alone"),
        ("(a|$)+", "alone"), ("a||b", "an empty alternative"), ("()", "an empty alternative"), ("|", "an empty"),
        (r"(a)\1", r"has \1"), (r"\b", r"has \b"), (r"\p{L}", r"has \p"), (r"\x41", r"has \x"), ("a\\", "has \\,"),
        (r"[\D]", r"has \D"), ("(?=a)", "a group (?"), ("(?P<x>a)", "a group (?"), ("a(?i)b", "a group (?"),
        ("(((a{9}){9}){9})", "too large"), (f"[^{MANY}]{{50}}", "too large"),
        ("(" * 11 + "a" + ")" * 11, "at most 10 groups deep"), ("a" * 201, "at most 200"),
        ("(?i)", "an empty alternative"),
    ],
)  # fmt: skip
def test_what_they_would_read_otherwise_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        portable(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a*)*b", "(a?){30}a{30}b", ".*.*.*.*b", "(.*a){20}b"])
async def test_no_pattern_stands_still_in_either(facts: AsyncSession, pattern: str) -> None:
    said = "a" * 20_000 + "!"
    found = set((await facts.execute(ASK, {"patterns": [portable(pattern)], "texts": [said]})).scalars())
    assert not finder(pattern)(said)
    assert not found


def test_half_a_character_is_one_that_is_not_known() -> None:
    assert finder("^a.b$")("a\ud800b")
    assert not finder("[\ud7ff]")("a\ud800b")


def test_the_largest_that_is_read_is_compiled() -> None:
    assert finder(f"(?:[a-y]{{100}}){{{LARGEST // 100}}}")("y" * LARGEST)


def test_what_is_compiled_takes_so_many_bytes_however_many_patterns_there_are() -> None:
    small, large = BUDGETS[0], BUDGETS[-1]
    finders = Finders(most=2 * large)
    first = finders.search("^1[3-9]")
    for number in range(10):
        assert finders.search(f"[{MANY}]{{20}}{number}")("x") is None
        assert finders.search("^1[3-9]") is first  # who is asked for stays
        assert finders.taken <= 2 * large
    for number in range(2 * large // small + 10):
        finders.search(f"a{number}")
    assert finders.taken == 2 * large
    assert finders.search("^1[3-9]") is not first
    assert finders.search("^1[3-9]")("13800138000")


def test_a_rule_does_not_hold_what_was_compiled_for_it() -> None:
    found = finder("^1[3-9]")
    assert [cell.cell_contents for cell in found.__closure__ or ()] == ["^1[3-9]"]
    assert found("13800138000")
