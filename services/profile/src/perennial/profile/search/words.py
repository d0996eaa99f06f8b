"""The forms under which a name is found: folded, from every word or sign on, in pinyin and by its initials."""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from perennial.common import masks
from perennial.common.auth import Principal

os.environ.setdefault("PYPINYIN_NO_PHRASES", "true")  # 40 MB that names do not need
from pypinyin import Style, pinyin

NAMES = (
    "name", "full_name", "display_name", "first_name", "middle_name", "last_name", "given_name", "family_name",
    "surname", "nickname", "username", "user_name", "company", "company_name", "姓名", "昵称",
)  # fmt: skip
WHOLE = ("name", "full_name", "display_name", "姓名")
HALVES = (("first_name", "last_name"), ("given_name", "family_name"))
LONGEST, MOST_UNITS, MOST_SAID, MOST_READINGS = 50, 12, 8, 3  # a form must fit into a cursor
NAMELESS = LAST = "\U0010ffff"  # sorts behind every text

_SIGN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_UNITS = re.compile(rf"[{_SIGN}]|[^\W_{_SIGN}]+")
_SIGNS = re.compile(f"[{_SIGN}]")
_MARKS = re.compile("[\u0300-\u036f]")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ı": "i", "ħ": "h"})
# How these are read as a surname, which is not how they are read most.
_SURNAMES = {
    "曾": "zeng", "单": "shan", "仇": "qiu", "解": "xie", "查": "zha", "翟": "zhai", "区": "ou", "朴": "piao",
    "盖": "ge", "任": "ren", "华": "hua", "覃": "qin", "缪": "miao", "尹": "yin", "乐": "yue", "种": "chong",
}  # fmt: skip
_NOBODY = Principal("staff", "", frozenset(), None, frozenset())


class Form(NamedTuple):
    """One form of the name that the trait `key` says; `words` only where it is the whole name."""

    key: str
    form: str
    words: str | None


def units(said: str) -> list[str]:
    """The words of a Latin text and the signs of a Chinese one, folded: case, width and accents make no difference."""
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", said[:LONGEST]).casefold())
    return _UNITS.findall(unicodedata.normalize("NFC", plain).translate(_LETTERS)[:LONGEST])[:MOST_UNITS]


def fold(said: str) -> str:
    """A text as forms are compared: folded, without what stands between its words."""
    return "".join(units(said))


def spoken(found: list[str]) -> list[list[str]]:
    """The units in pinyin, a list for each reading of the first; empty where nothing is Chinese."""
    if not any(map(_HAN.match, found)):
        return []
    first, *rest = ([_plain(reading) for reading in _readings(unit)] for unit in found[:MOST_SAID])
    known = [_SURNAMES[found[0]]] if found[0] in _SURNAMES else []
    heads = dict.fromkeys([*known, *first, *(head.replace("v", "u") for head in first)])
    return [[head, *(readings[0] for readings in rest)] for head in list(heads)[:MOST_READINGS]]


def _readings(unit: str) -> list[str]:
    return pinyin(unit, style=Style.NORMAL, heteronym=True)[0] if _HAN.match(unit) else [unit]


def _plain(reading: str) -> str:
    return _MARKS.sub("", unicodedata.normalize("NFKD", reading))


def forms(names: Mapping[str, str]) -> set[Form]:
    """Every form of the names, by the key of the trait that says each."""
    return {form for key, said in _told(names) for form in _forms(key, units(said))}


def sort_name(names: Mapping[str, str]) -> str:
    """What a customer is sorted by: the pinyin of a Chinese name, so that both scripts stand in one order."""
    told = dict(_told(names))
    wanted = [*WHOLE, *map("+".join, HALVES), *NAMES]
    said = next((found for key in wanted if key in told and (found := units(told[key]))), None)
    if said is None:
        return NAMELESS
    return " ".join(next(iter(spoken(said)), said))


def visible(principal: Principal) -> list[str]:
    """The keys of the names that a principal sees in clear."""
    seen = [key for key in NAMES if masks.sees(principal, key)]
    return [*seen, *("+".join(pair) for pair in HALVES if set(pair) <= set(seen))]


def _told(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each name; a name that holds an address or a phone is masked for some, so it is nobody's to find."""
    clean = {key: said for key, said in names.items() if masks.text(_NOBODY, said) == said}
    yield from clean.items()
    for given, family in HALVES:
        if given in clean and family in clean:
            parts = [clean[family], clean[given]] if _SIGNS.search(clean[family]) else [clean[given], clean[family]]
            yield f"{given}+{family}", " ".join(parts)


def _forms(key: str, found: list[str]) -> Iterator[Form]:
    if not found:
        return
    signs = any(map(_SIGNS.match, found))
    yield Form(key, "".join(found), " ".join(found))
    for start in range(1, len(found)):
        form = "".join(found[start:] + ([] if signs else found[:start]))
        if form != "".join(found):
            yield Form(key, form, None)
    for syllables in spoken(found):
        yield from _spelled(key, syllables)


def _spelled(key: str, syllables: list[str]) -> Iterator[Form]:
    whole = "".join(syllables)
    yield Form(key, whole, " ".join(syllables))
    others = {"".join(syllables[1:]) + syllables[0], "".join(syllable[0] for syllable in syllables)}
    yield from (Form(key, form, None) for form in others if form != whole)
