"""What a text is about: which topics it has words of, in English and in Chinese.

Chinese is cut into words by jieba with its own dictionary (33 MB in memory, a fifth of a second to load, both once and
only where there is something to hear); the words of the topics are added to it, so that they are never cut apart.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import rjieba

LONGEST = 4000  # characters of a text that are looked at
FREQUENT = 1_000_000  # so that jieba never cuts a word of ours
CHINESE = re.compile(r"[\u3400-\u9fff]")
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
CLAUSE = re.compile(r"[,.;:!?\s]*[,.;:!?，。；：！？、\n]+\s*")

Terms = tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]


class Ear:
    """Knows the words of some topics."""

    def __init__(self, topics: Terms) -> None:
        self._english = {term: key for key, english, _ in topics for term in map(_spelled, english)}
        self._longest = max((term.count(" ") + 1 for term in self._english), default=0)
        self._chinese: dict[str, set[str]] = {}
        for key, _, chinese in topics:
            for term in chinese:
                self._chinese.setdefault(term, set()).add(key)
        self._jieba: rjieba.Jieba | None = None

    def topics(self, text: str) -> dict[str, int]:
        """How many words of each topic a text has."""
        text = text[:LONGEST]
        found: dict[str, int] = {}
        for key in self._in_english(text.lower()):
            found[key] = found.get(key, 0) + 1
        if CHINESE.search(text):
            for word in self._cutter().cut_for_search(text):
                for key in self._chinese.get(word, ()):
                    found[key] = found.get(key, 0) + 1
        return found

    def _in_english(self, text: str) -> list[str]:
        words = [_singular(word) for word in WORD.findall(text)]
        runs = (
            " ".join(words[start : start + length])
            for start in range(len(words))
            for length in range(1, min(self._longest, len(words) - start) + 1)
        )
        return [self._english[run] for run in runs if run in self._english]

    def _cutter(self) -> rjieba.Jieba:
        if self._jieba is None:
            self._jieba = rjieba.Jieba()
            for term in self._chinese:
                self._jieba.add_word(term, FREQUENT, None)
        return self._jieba


@lru_cache(maxsize=1)
def ear(topics: Terms) -> Ear:
    """Who knows these topics: made anew when they change."""
    return Ear(topics)


def terms(topics: Sequence[Mapping[str, Any]]) -> Terms:
    """Topics (key, terms by language) in the form that is compared."""
    return tuple(
        (topic["key"], tuple(topic["terms"].get("en", ())), tuple(topic["terms"].get("zh", ()))) for topic in topics
    )


def shipped(package: str, name: str) -> Any:
    """The content of a data file."""
    return json.loads(resources.files(package).joinpath(name).read_text("utf-8"))


def _spelled(term: str) -> str:
    return " ".join(_singular(word) for word in WORD.findall(term.lower()))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
