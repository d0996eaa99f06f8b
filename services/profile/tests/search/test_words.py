"""The forms under which a name is found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.common import masks
from perennial.profile.search import words


def found(said: str, q: str) -> bool:
    needle = words.fold(q)
    return any(form.form.startswith(needle) for form in words.forms({"name": said}))


@pytest.mark.parametrize(
    ("said", "q"),
    [
        ("Ada Lovelace", "ada l"),
        ("Ada Lovelace", "LOVELACE"),
        ("Ada Lovelace", "lovelace ada"),
        ("José Ángel Núñez", "jose angel nun"),
        ("Łukasz Øster", "lukasz oster"),
        ("Straße", "strasse"),
        ("O'Brien", "obrien"),
        ("Ａｄａ", "ada"),
        ("张伟", "张"),
        ("张伟", "伟"),
        ("张伟", "zhang wei"),
        ("张伟", "zhangwei"),
        ("张伟", "wei zhang"),
        ("张伟", "zw"),
        ("王小明", "小明"),
        ("王小明", "wxm"),
        ("王 小明", "王小明"),
        ("曾志伟", "zeng"),
        ("单田芳", "shan tian fang"),
        ("吕布", "lu bu"),
        ("吕布", "lv bu"),
        ("山田たろう", "たろ"),
        ("김철수", "철수"),
    ],
)
def test_a_name_is_found(said: str, q: str) -> None:
    assert found(said, q)


@pytest.mark.parametrize(
    ("said", "q"), [("Ada Lovelace", "velace"), ("张伟", "张玮"), ("王小明", "明小"), ("Ada", "b")]
)
def test_another_is_not(said: str, q: str) -> None:
    assert not found(said, q)


def test_given_and_family_name_are_one_name_in_the_order_of_their_script() -> None:
    latin = words.forms({"first_name": "Ada", "last_name": "Lovelace"})
    assert ("first_name+last_name", "adalovelace", "ada lovelace") in latin
    chinese = words.forms({"first_name": "伟", "last_name": "张"})
    assert {"张伟", "zhangwei", "zw"} <= {form.form for form in chinese if form.key == "first_name+last_name"}
    assert words.sort_name({"first_name": "伟", "last_name": "张"}) == "zhang wei"


def test_a_name_that_holds_an_address_or_a_phone_is_nobodys_to_find() -> None:
    assert words.forms({"name": "call 13987654321", "nickname": "ada@example.com", "username": "ada"}) == {
        ("username", "ada", "ada")
    }


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_whatever_the_text_forms_are_few_short_and_hold_the_whole(said: str) -> None:
    forms = words.forms({"name": said})
    whole = words.fold(said)
    assert len(forms) <= words.MOST_UNITS + 3 * words.MOST_READINGS
    assert all(len(form.form) <= 8 * words.LONGEST for form in forms)
    told = bool(whole) and masks.text(words._NOBODY, said) == said
    assert told == bool(forms)
    assert not told or any(form.form == whole and form.words for form in forms)
    assert (words.fold("?!"), words.sort_name({"name": "?!"})) == ("", words.NAMELESS)
