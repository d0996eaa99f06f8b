"""What a spreadsheet would reckon with stays a text."""

import csv
import io

import pytest

from perennial.common.sheets import lines


@pytest.mark.parametrize("mark", ["=", "+", "-", "@", "\t", "\r", "\n=", " @", "＝", "＋", "－", "＠"], ids=ascii)
def test_no_text_is_a_formula(mark: str) -> None:
    [[cell, whole, none]] = csv.reader(io.StringIO(lines([[f"{mark}1+1", -5, None]]), newline=""))
    assert (cell, whole, none) == (f"'{mark}1+1", "-5", "")


def test_words_stay_as_they_are() -> None:
    said = [["金卡", 'a "b", c', "x=1", "a\nb"]]
    assert list(csv.reader(io.StringIO(lines(said), newline=""))) == said
